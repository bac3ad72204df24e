// State. ready_ is false until the answer is stored, then true for ever. waiters_ holds who waits; its lock guards the
//   step from false to true.
// Invariants.
//   I1  A waiter enters waiters_ only while ready_ is false, both under the lock; so the one who answers finds it.
//   I3  Likewise a continuation, so it runs once: by the one who answers, or at once.
//   I2  Everybody who uses the state owns a share of it: the one who answers until it has published the last waiter, a
//       waiter until it has left the queue.
// Edges.
//   E1  the answer is stored before ready_ (release) -> is_ready() (acquire), or the claim's publish, before it is read.
// Cost. One allocation; an answer without waiters is one queue lock; reading a ready future is one load.

#include <heddle/park/blocking_region.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/task/future.hpp>

#include <utility>

namespace heddle::futures {
namespace {

// What this thread has to run, and whether it is about it.
struct agenda {
  continuation* first;
  bool running;
};
constinit thread_local agenda own{nullptr, false};

// The last one linked comes first in `due`; they are run in the order in which they were linked, and what follows from one
// of them after the rest.
[[gnu::noinline]] void run_all(continuation* due) noexcept {
  agenda& mine = own;
  continuation** end = &mine.first;
  while (*end != nullptr) end = &(*end)->next;
  while (due != nullptr) {
    continuation* const each = due;
    due = each->next;
    each->next = *end;
    *end = each;
  }
  if (mine.running) return;
  mine.running = true;
  while (continuation* const each = mine.first) {
    mine.first = each->next;
    each->run(each);
  }
  mine.running = false;
}

}  // namespace

state_base::~state_base() = default;

std::expected<void, wait_error> state_base::wait(deadline until, const std::stop_token& stop,
                                                 std::source_location site) noexcept {
  if (is_ready()) return {};
  help();
  if (is_ready()) return {};
  if (stop.stop_requested()) return std::unexpected{wait_error::stopped};
  if (until.has_passed()) return std::unexpected{wait_error::timeout};
  const blocking_region region;
  park::thread_wait wait{resource(), until, site};
  {
    park::queue_guard guard{waiters_};
    if (ready_.load(std::memory_order_relaxed)) return {};
    guard.push_back(wait.node());  // I1
  }
  const park::phase result = wait.park(until, stop);
  if (result == park::phase::granted) return {};
  park::queue_guard guard{waiters_};
  guard.remove(wait.node());
  if (ready_.load(std::memory_order_relaxed)) return {};
  return std::unexpected{park::error_of(result)};
}

void state_base::wait(std::source_location site) noexcept {
  while (!wait(deadline::never(), {}, site)) {
  }
}

void state_base::answered() noexcept {
  void* first = nullptr;
  void** last = &first;
  continuation* due = nullptr;
  {
    park::queue_guard guard{waiters_};
    ready_.store(true, std::memory_order_release);  // E1, I1
    due = std::exchange(continuations_, nullptr);
    for (park::slot* s = guard.first(); s != nullptr;) {
      park::slot* const next = guard.after(*s);
      if (park::claim(*s)) {  // else it is just leaving
        guard.remove(*s);
        s->payload = nullptr;
        *last = s;
        last = &s->payload;
      }
      s = next;
    }
  }
  while (first != nullptr) {
    auto& woken = *static_cast<park::slot*>(first);
    first = woken.payload;
    park::publish(woken, park::phase::granted);  // E1
  }
  if (due != nullptr) run_all(due);
}

void state_base::on_answer(continuation& then) noexcept {
  {
    const park::queue_guard guard{waiters_};
    if (!ready_.load(std::memory_order_relaxed)) {
      then.next = continuations_;  // I3
      continuations_ = &then;
      return;
    }
  }
  then.next = nullptr;
  run_all(&then);
}

void state_base::cancel() noexcept {
  std::stop_source cancelling{std::nostopstate};
  {
    const park::queue_guard guard{waiters_};
    if (std::exchange(cancelled_, true) || ready_.load(std::memory_order_relaxed)) return;
    cancelling = cancelling_;
  }
  cancelling.request_stop();
  withdraw();
}

std::stop_token state_base::when_cancelled() {
  std::stop_source fresh;
  bool cancelled = false;
  {
    const park::queue_guard guard{waiters_};
    if (!cancelling_.stop_possible()) cancelling_.swap(fresh);
    fresh = cancelling_;
    cancelled = cancelled_;
  }
  if (cancelled) fresh.request_stop();
  return fresh.get_token();
}

wait_for_answer::wait_for_answer(state_base& state, deadline until, std::stop_token stop,
                                 std::source_location site) noexcept
    : task_wait{state.resource(), until, std::move(stop), site}, state_{&state} {}

bool wait_for_answer::enqueue() noexcept {
  park::queue_guard guard{state_->waiters_};
  if (state_->ready_.load(std::memory_order_relaxed)) return false;
  guard.push_back(node());  // I1
  return true;
}

park::task_wait::step wait_for_answer::claimed(park::phase result) noexcept {
  if (result == park::phase::granted) return step::resume;
  {
    park::queue_guard guard{state_->waiters_};
    guard.remove(node());
  }
  if (result == park::phase::cancelled) return step::unwind;
  if (!state_->is_ready()) failure_ = park::error_of(result);
  return step::resume;
}

void wait_for_answer::refused(park::phase result) noexcept { failure_ = park::error_of(result); }

}  // namespace heddle::futures
