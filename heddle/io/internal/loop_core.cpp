// The turn of the loop.
//
// State. Items that are ready form a list that only the loop's thread touches. What other threads post goes onto the
//   stack `incoming_`; its head is &asleep_ while the loop sleeps, or is about to.
// A turn: take what came in; run at most items_per_turn items; ask the system what is ready, which only appends items;
//   fire the timers that are due, which only appends items. It sleeps in the system only when no item is ready and no
//   timer due.
// Invariants.
//   I1  Whoever changes incoming_ away from &asleep_ wakes the loop, exactly once; the loop counts that as a wake owed,
//       when it finds its mark gone. The destructor returns only after all wakes that are owed have been seen, so a
//       poster that is between its push and its wake still has a loop to wake.
//   I2  A poster that did not find &asleep_ touches nothing of the loop after its push: run() may have ended already.
//   I3  A handle is freed by the loop's thread, outside wait(): so an event that the system has already reported never
//       meets a freed handle.
//   I4  A ready flag that goes from low to high wakes the waiter (handle.hpp).
// Edges.
//   E1  push: release on incoming_ -> acquire by take_incoming(): the item is complete.
//   E2  stop_ is stored before incoming_ is looked at; the loop puts its mark there before it looks at stop_ (both
//       seq_cst): one of the two sees the other.
// Progress and fairness. A turn is bounded: 256 items, 256 events; the timers due are only turned into items. An item
//   may do 64 operations that need no waiting, then it goes to the end of the list.
// Cost. Per turn one system call; per item posted on the loop's thread, two stores.
// Rejected. A flag `sleeping` beside the stack: two words that must be read in the right order, and a wake for each post
//   until the loop has got up.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/io/internal/loop_core.hpp>
#include <heddle/park/executor_scope.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/wait.hpp>

#include <utility>

namespace heddle::io {
namespace {

// So that a turn of items that take a few microseconds each stays below a millisecond, the tick of the timers.
constexpr unsigned items_per_turn = 256;
constexpr unsigned operations_per_item = 64;
constexpr std::int64_t ns_per_tick = 1'000'000;

constinit thread_local loop_core* running_here = nullptr;

}  // namespace

loop_core::loop_core(executor& owner, const char* name, std::unique_ptr<backend> system) noexcept
    : owner_{owner}, name_{name}, system_{std::move(system)} {}

loop_core::~loop_core() {
  if (running_.load(std::memory_order_acquire)) fatal("an event loop was destroyed while it runs");
  take_incoming();
  while (first_ != nullptr) {
    work_item* item = std::exchange(first_, first_->next);
    if (item->run != &run_handle) fatal("an event loop was destroyed with work in it; let its tasks end first");
    item->run(item);
  }
  if (handles_.load(std::memory_order_acquire) != 0 && !process_is_exiting()) {
    fatal("an event loop was destroyed while a stream, listener or signal_set of it lives");
  }
  while (system_->wakes_seen() < wakes_owed_) system_->wait(-1);  // I1
}

// --- items ---

bool loop_core::on_this_thread() const noexcept { return running_here == this; }

void loop_core::append(work_item& item) noexcept {
  item.next = nullptr;
  *last_ = &item;
  last_ = &item.next;
}

void loop_core::post(work_item& item) noexcept {
  if (on_this_thread()) {
    append(item);
    return;
  }
  work_item* seen = incoming_.load(std::memory_order_relaxed);
  do {
    item.next = seen == &asleep_ ? nullptr : seen;
  } while (!incoming_.compare_exchange_weak(seen, &item, std::memory_order_release, std::memory_order_relaxed));  // E1
  if (seen == &asleep_) system_->wake();  // I1, I2
}

void loop_core::stop() noexcept {
  stop_.store(true, std::memory_order_seq_cst);  // E2
  work_item* seen = &asleep_;
  if (incoming_.compare_exchange_strong(seen, nullptr, std::memory_order_seq_cst)) system_->wake();  // I1
}

void loop_core::take_incoming() noexcept {
  if (incoming_.load(std::memory_order_relaxed) == nullptr) return;
  work_item* newest = incoming_.exchange(nullptr, std::memory_order_acquire);  // E1
  work_item* oldest = nullptr;
  while (newest != nullptr) {
    work_item* older = std::exchange(newest->next, oldest);
    oldest = std::exchange(newest, older);
  }
  while (oldest != nullptr) {
    work_item* item = std::exchange(oldest, oldest->next);
    append(*item);
  }
}

void loop_core::run_items(executor_scope& here, const bool* ended) noexcept {
  for (unsigned left = items_per_turn; left != 0 && first_ != nullptr; --left) {
    work_item* item = first_;
    first_ = item->next;
    if (first_ == nullptr) last_ = &first_;
    budget_ = operations_per_item;
    here.run(item);
    if (ended != nullptr && *ended) return;
  }
}

// --- turns ---

void loop_core::enter() noexcept {
  if (running_.exchange(true, std::memory_order_acq_rel)) fatal("an event loop was run twice at the same time");
  if (running_here != nullptr) fatal("an event loop was run inside another one");
  running_here = this;
}

void loop_core::leave() noexcept {
  running_here = nullptr;
  running_.store(false, std::memory_order_release);
}

void loop_core::run_until_stopped() noexcept {
  executor_scope here{owner_};
  enter();
  for (;;) {
    take_incoming();
    run_items(here, nullptr);
    if (stop_.load(std::memory_order_seq_cst) && first_ == nullptr &&
        incoming_.load(std::memory_order_seq_cst) == nullptr) {
      break;
    }
    ask_system(true);
    fire_timers();
  }
  stop_.store(false, std::memory_order_seq_cst);
  leave();
}

void loop_core::run_until(const bool& ended) noexcept {
  executor_scope here{owner_};
  enter();
  for (;;) {
    take_incoming();
    run_items(here, &ended);
    if (ended) break;
    ask_system(false);
    fire_timers();
  }
  leave();
}

void loop_core::ask_system(bool heeds_stop) noexcept {
  std::int64_t timeout = first_ != nullptr ? 0 : time_left();
  if (timeout != 0) {
    work_item* seen = nullptr;
    if (!incoming_.compare_exchange_strong(seen, &asleep_, std::memory_order_seq_cst)) {
      timeout = 0;
    } else {
      if (!heeds_stop || !stop_.load(std::memory_order_seq_cst)) {  // E2
        // The thread's own wait, for the snapshot; posts end it through the system, not through the claim.
        const park::thread_wait sleeping{park::resource::of(resource_kind::pool, &owner_, name_), deadline::never(),
                                         std::source_location::current()};
        system_->wait(timeout);
      } else {
        system_->wait(0);
      }
      seen = &asleep_;
      if (!incoming_.compare_exchange_strong(seen, nullptr, std::memory_order_seq_cst)) ++wakes_owed_;  // I1
    }
  }
  if (timeout == 0) system_->wait(0);
  turns_.store(turns_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

// --- timers ---

void loop_core::set_timer(timer_entry& entry, deadline when) noexcept {
  if (wheel_.empty()) wheel_.start_at(system_->now_ns() / ns_per_tick);
  wheel_.set(entry, when.ns() / ns_per_tick + (when.ns() % ns_per_tick != 0 ? 1 : 0));
}

void loop_core::fire_timers() noexcept {
  if (wheel_.empty()) return;
  const std::int64_t now = system_->now_ns() / ns_per_tick;
  while (timer_entry* due = wheel_.pop_due(now)) due->fire(*due);
}

std::int64_t loop_core::time_left() noexcept {
  const std::optional<std::int64_t> tick = wheel_.next();
  if (!tick) return -1;
  const std::int64_t left = *tick * ns_per_tick - system_->now_ns();
  return left > 0 ? left : 0;
}

// --- handles ---

handle* loop_core::open(int descriptor, const char* name, bool ready_at_first, std::error_code& error) noexcept {
  auto* made = new handle{*this, descriptor, name, ready_at_first};
  made->run = &run_handle;
  if (const int code = system_->watch(*made); code != 0) {
    error = {code, std::system_category()};
    system_->close(*made);
    delete made;
    return nullptr;
  }
  handles_.fetch_add(1, std::memory_order_relaxed);
  return made;
}

void loop_core::nudge(handle& h) noexcept {
  if ((h.flags.fetch_or(handle::posted, std::memory_order_acq_rel) & handle::posted) == 0) post(h);
}

void loop_core::close(handle& h) noexcept {
  if (h.descriptor < 0) return;
  system_->close(h);
  h.descriptor = -1;
  h.read.ready.store(true, std::memory_order_seq_cst);  // so that later attempts find it closed
  h.write.ready.store(true, std::memory_order_seq_cst);
  wake_waiter(h.read, park::phase::closed);
  wake_waiter(h.write, park::phase::closed);
}

void loop_core::release(handle& h) noexcept {
  if (h.read.occupant.load(std::memory_order_acquire) != nullptr ||
      h.write.occupant.load(std::memory_order_acquire) != nullptr) {
    fatal("a stream, listener or signal_set was destroyed while a task waits for it; stop the task first");
  }
  close(h);
  const unsigned before = h.flags.fetch_or(handle::dead | handle::posted, std::memory_order_acq_rel);
  if ((before & handle::posted) != 0) return;  // run_handle will free it
  if (on_this_thread()) {
    run_handle(&h);
  } else {
    post(h);  // I3
  }
}

void loop_core::run_handle(work_item* item) noexcept {
  auto* h = static_cast<handle*>(item);
  const unsigned before = h->flags.fetch_and(~handle::posted, std::memory_order_acq_rel);
  if ((before & handle::dead) != 0) {
    loop_core& core = h->core;
    delete h;
    core.handles_.fetch_sub(1, std::memory_order_release);
    return;
  }
  wake_waiter(h->read, park::phase::woken);
  wake_waiter(h->write, park::phase::woken);
}

void became_ready(handle_side& side) noexcept {
  // High: an operation that lowers it from now on tries after the system has reported, and gets what there is.
  if (side.ready.load(std::memory_order_seq_cst)) return;
  if (side.ready.exchange(true, std::memory_order_seq_cst)) return;  // I4
  wake_waiter(side, park::phase::woken);
}

void wake_waiter(handle_side& side, park::phase result) noexcept {
  park::slot* waiter = nullptr;
  {
    park::queue_guard guard{side.waiters};
    park::slot* first = guard.first();
    if (first != nullptr && park::claim(*first)) {
      guard.remove(*first);
      waiter = first;
    }
  }
  if (waiter != nullptr) park::publish(*waiter, result);
}

}  // namespace heddle::io
