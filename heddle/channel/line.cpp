// The line of a channel: who waits to send or to receive, and how a wait ends with an item in hand.
//
// State. The items lie in a ring: length_ of them from head_ on. queue_ holds those who wait; its lock guards the ring,
//   the counts and the operations that stand in the line. slot.payload is the operation.
// Invariants.
//   I1  A live receiver (one whose wait has not ended) stands in the line only while the ring is empty and the channel
//       is open; a live sender only while the ring is full and the channel is open. So one queue holds both, and who is
//       found alive is of the kind that is looked for. Those who have just given up are skipped; they leave by themselves.
//   I2  An item changes hands in three steps, the first two under the lock: the wait of the other side is claimed, so
//       that nothing else can end it; the item is moved; after the lock the result is published. So a wait that has
//       ended in any other way has neither got nor given an item.
//   I3  If moving into a receiver throws after its wait has been claimed, it is told `woken` and tries again. If moving
//       out of a waiting sender throws, the exception becomes that sender's, and the next sender is let in.
//   I4  The lock is let go of before anything is published, and nothing of the channel is touched afterwards. So whoever
//       has received the last item may destroy the channel.
// Edges.
//   E1  queue_'s lock orders everything about the items. An item handed over: claim's publish (release) -> the waiter
//       sees the result (acquire).
// Progress and fairness. First come, first served, among threads and tasks alike: a newcomer cannot pass those who wait,
//   since while senders wait the ring is full, and while receivers wait it is empty. A task that has been given an item
//   holds it until its executor runs it.
// Cost. One lock for each operation. A thread looks for a bounded time before it sleeps, as long as nobody stands there.
// Rejected. A ring without a lock, with tickets: a ticket cannot be taken back when its wait ends early. Waking a
//   receiver to try again, without the item: it may find the channel empty, and loses its place.
// Source. Direct hand-over to a waiter under the channel's lock is the design of Go's channels.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/channel/line.hpp>
#include <heddle/park/blocking_region.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/sys/futex.hpp>

namespace heddle::channels {
namespace {

/// How long a thread looks at an empty or full channel before it sleeps. Chosen among 0, 500, 1500 and 4000 by a
/// channel of 100 items between 1:1, 2:2 and 4:4 threads on two CPUs: longer costs more CPU for each item than it saves.
constexpr std::int64_t spin_ns = 500;

}  // namespace

void wakes::add(operation& claimed, park::phase result) noexcept {
  claimed.result_ = result;
  claimed.next_ = nullptr;
  *last_ = &claimed;
  last_ = &claimed.next_;
}

void wakes::publish() noexcept {
  while (first_ != nullptr) {
    operation& woken = *first_;
    first_ = woken.next_;
    park::publish(*woken.node_, woken.result_);  // E1; the operation may be gone
  }
}

line::line(std::size_t capacity, const char* name) noexcept : capacity_{capacity}, name_{name} {
  if (capacity == 0) fatal("a channel needs a capacity of at least 1");
}

line::~line() {
  if (!queue_.seems_empty() && !process_is_exiting()) fatal("a channel was destroyed while somebody waits for it");
}

channel_stats line::stats() noexcept {
  const park::queue_guard guard{queue_};
  return {length(), capacity_, waiting_senders_, waiting_receivers_, sent_, received_};
}

attempt line::try_once(operation& op) noexcept {
  wakes to_wake;  // I4: goes after the guard
  park::queue_guard guard{queue_};
  return op.try_now(guard, to_wake);
}

void line::stand(park::queue_guard& guard, park::slot& node, operation& op) noexcept {
  op.node_ = &node;
  node.payload = &op;
  guard.push_back(node);  // I1
  ++(op.receives_ ? waiting_receivers_ : waiting_senders_);
}

void line::leave(park::slot& node, const operation& op) noexcept {
  park::queue_guard guard{queue_};
  guard.remove(node);
  --(op.receives_ ? waiting_receivers_ : waiting_senders_);
}

operation* line::claim_first(park::queue_guard& guard) noexcept {
  for (park::slot* s = guard.first(); s != nullptr; s = guard.after(*s)) {
    if (!park::claim(*s)) continue;  // I1: it has given up and is about to leave
    guard.remove(*s);
    auto* const op = static_cast<operation*>(s->payload);
    --(op->receives_ ? waiting_receivers_ : waiting_senders_);
    return op;
  }
  return nullptr;
}

void line::close() noexcept {
  wakes to_wake;
  park::queue_guard guard{queue_};
  closed_.store(true, std::memory_order_relaxed);
  while (operation* const waiting = claim_first(guard)) to_wake.add(*waiting, park::phase::closed);
}

bool line::spin(const operation& op) const noexcept {
  if (sys::allowed_cpus() == 1) return false;
  const std::int64_t until = sys::steady_now_ns() + spin_ns;
  do {
    for (int i = 0; i < 32; ++i) {
      if (!queue_.seems_empty()) return false;
      if (closed() || (op.receives_ ? length() > 0 : length() < capacity_)) return true;
      sys::spin_pause();
    }
  } while (sys::steady_now_ns() < until);
  return false;
}

std::optional<wait_error> line::run(operation& op, deadline until, const std::stop_token& stop,
                                    std::source_location site) noexcept {
  attempt how = try_once(op);
  if (how == attempt::wait && spin(op)) how = try_once(op);
  if (how != attempt::wait) return failure_of(how);
  if (stop.stop_requested()) return wait_error::stopped;
  if (until.has_passed()) return wait_error::timeout;
  const blocking_region region;
  park::thread_wait wait{resource(), until, site};
  for (;;) {
    {
      wakes to_wake;
      park::queue_guard guard{queue_};
      how = op.try_now(guard, to_wake);
      if (how != attempt::wait) return failure_of(how);
      stand(guard, wait.node(), op);
    }
    const park::phase result = wait.park(until, stop);
    switch (result) {
      case park::phase::granted: return {};
      case park::phase::closed: return wait_error::closed;
      case park::phase::woken: wait.rearm(); continue;  // I3
      default: leave(wait.node(), op); return park::error_of(result);
    }
  }
}

// --- tasks ---

wait_in_line::wait_in_line(line& where, operation& op, deadline until, std::stop_token stop,
                           std::source_location site) noexcept
    : task_wait{where.resource(), until, std::move(stop), site}, line_{where}, op_{op} {}

bool wait_in_line::over(attempt how) noexcept {
  if (how == attempt::wait) return false;
  failure_ = failure_of(how);
  return true;
}

bool wait_in_line::ready() noexcept { return over(line_.try_once(op_)); }

bool wait_in_line::enqueue() noexcept {
  wakes to_wake;
  park::queue_guard guard{line_.queue_};
  if (over(op_.try_now(guard, to_wake))) return false;
  line_.stand(guard, node(), op_);
  return true;
}

park::task_wait::step wait_in_line::claimed(park::phase result) noexcept {
  switch (result) {
    case park::phase::granted: return step::resume;
    case park::phase::closed: failure_ = wait_error::closed; return step::resume;
    case park::phase::woken:  // I3
      rearm();
      return enqueue() ? step::wait : step::resume;
    default: break;
  }
  line_.leave(node(), op_);
  if (result == park::phase::cancelled) return step::unwind;
  failure_ = park::error_of(result);
  return step::resume;
}

void wait_in_line::refused(park::phase result) noexcept { failure_ = park::error_of(result); }

}  // namespace heddle::channels
