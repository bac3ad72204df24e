// The lines of a channel: who waits to send or to receive, and how a wait ends with an item in hand.
//
// State. Items go in at the back and come out at the front; back_ and front_ count them, and their difference is inside.
//   receivers_ holds those who wait for an item; its lock, the back lock, guards the back: what goes in, back_, reserved_.
//   senders_ holds those who wait for room; its lock, the front lock, guards the front: what comes out, front_. closed_
//   is written under both. Whoever needs both takes the back lock first. slot.payload is the operation.
// Invariants.
//   I1  A live receiver (one whose wait has not ended) stands in its line only while nothing is inside, nobody else's live
//       send stands in the other line, and something may still come: the channel is open or a place is reserved. A live
//       send stands in its line only while no place is free, nobody else's live receive waits, and the channel is open;
//       who waits for a place, whoever else waits. Both lines are entered under both locks. A select may stand in both
//       lines of a rendezvous; it does not meet itself, since it tries before it stands. Those who have just given up
//       are skipped; they leave by themselves.
//   I2  An item changes hands in three steps, the first two under the lock: the wait of the other side is claimed, so
//       that nothing else can end it; the item is moved; after the lock the result is published. So a wait that has
//       ended in any other way has neither got nor given an item.
//   I3  If moving into a receiver throws after its wait has been claimed, it is told `woken` and tries again. If moving
//       out of a waiting sender throws, the exception becomes that sender's, and the next sender is let in.
//   I4  The locks are let go of before anything is published, and nothing of the channel is touched afterwards. So
//       whoever has received the last item may destroy the channel. Its sender may be about to let go of the back lock:
//       whoever takes the last item under the front lock alone has seen the back lock free since (may_take_last).
//   I5  Under the back lock alone an item may go in, or be handed to a receiver that waits; nobody can need to be told
//       but that receiver. Under the front lock alone an item may come out if nobody stands in the senders' line: with
//       somebody there, the free place is theirs, which is the back's matter. So no free place is seen while a live
//       sender waits, and a newcomer cannot pass it.
//   I6  A reserved place is not free for others; an item may pass it by, from hand to hand. A place reserved before the channel was closed may still be sent to.
// When things happen.
//   L1  A channel is closed when close() sets closed_, under both locks. A send happens when its item goes in or is
//       handed over, under the back lock; so each send comes wholly before the close or fails, and what came before can
//       be received. A waiting send that close() finds has failed at that moment.
//   L2  A receive that finds nothing under the front lock alone happened when it read back_. An attempt at a rendezvous
//       that takes no lock happened when it saw the other side's line empty. The channel was open then, since closed_ was
//       still false later.
// Edges.
//   E1  An item handed over: claim's publish (release) -> the waiter sees the result (acquire).
//   E2  An item that goes in: back_ (release) -> the receiver's has_item() or length() (acquire). A place that becomes
//       free: front_ (release) -> the sender's has_room() (acquire).
//   The rest is ordered by the locks.
// Progress and fairness. First come, first served, among threads and tasks alike (I1, I5). A task that has been given an
//   item holds it until its executor runs it.
// Cost. One lock for each operation while nobody waits, senders and receivers different ones; two for a receive that lets
//   a sender in, and to wait. A thread looks for a bounded time before it sleeps, as long as nobody stands there.
// Rejected. Comparing both counts before the lock is taken: each side would read the other's at each operation. A ring
//   without a lock, with tickets: a ticket cannot be taken back when a move throws or its wait ends early,
//   and whoever publishes an item must look for waiters afterwards, in a channel that may be gone. Waking a receiver to
//   try again, without the item: it may find the channel empty, and loses its place.
// Source. Direct hand-over to a waiter under the channel's lock is the design of Go's channels; a lock for each end that of
//   Michael and Scott's two-lock queue.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/channel/internal/look.hpp>
#include <heddle/channel/line.hpp>
#include <heddle/park/blocking_region.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/sys/futex.hpp>

#include <algorithm>

namespace heddle {

channel_capacity bounded(std::size_t places) noexcept {
  if (places == 0) fatal("a bounded channel needs a capacity of at least 1; a rendezvous has none");
  return {std::min(places, unbounded.places - 1)};
}

namespace channels {

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
    park::publish(*woken.waiter_, woken.result_);  // E1; the operation may be gone
  }
}

line::~line() {
  if (process_is_exiting()) return;
  if (!receivers_.seems_empty() || !senders_.seems_empty()) {
    fatal("a channel was destroyed while somebody waits for it");
  }
  if (reserved_.load(std::memory_order_relaxed) != 0) fatal("a channel was destroyed while a place in it is reserved");
}

channel_stats line::stats() noexcept {
  const both_locks held{*this};
  const std::uint64_t in = back_.load(std::memory_order_relaxed);
  const std::uint64_t out = front_.load(std::memory_order_relaxed);
  return {length(),          capacity_,          reserved_.load(std::memory_order_relaxed),
          waiting_senders_,  waiting_receivers_, in + handed_over_,
          out + handed_over_};
}

void line::stand(both_locks& held, operation& op, park::slot& node, park::slot& waiter) noexcept {
  op.node_ = &node;
  op.waiter_ = &waiter;
  op.result_ = park::phase::idle;
  node.payload = &op;
  if (op.what_ == operation::kind::receive) {
    held.back().push_back(node);  // I1
    ++waiting_receivers_;
  } else {
    held.front().push_back(node);  // I1
    ++waiting_senders_;
  }
}

void line::leave(operation& op) noexcept {
  const bool receives = op.what_ == operation::kind::receive;
  park::queue_guard guard{receives ? receivers_ : senders_};
  if (!op.node_->queued) return;
  guard.remove(*op.node_);
  --(receives ? waiting_receivers_ : waiting_senders_);
}

operation* line::claim_first(park::queue_guard& guard, bool with_item) noexcept {
  for (park::slot* s = guard.first(); s != nullptr; s = guard.after(*s)) {
    auto* const op = static_cast<operation*>(s->payload);
    if (with_item && op->what_ == operation::kind::reserve) continue;
    if (!park::claim(*op->waiter_)) continue;  // I1: it has given up and is about to leave
    guard.remove(*s);
    --(op->what_ == operation::kind::receive ? waiting_receivers_ : waiting_senders_);
    return op;
  }
  return nullptr;
}

operation* line::claim_receiver(park::queue_guard& back) noexcept { return claim_first(back, false); }

operation* line::claim_sender(both_locks& held) noexcept { return claim_first(held.front(), false); }

operation* line::claim_item(both_locks& held) noexcept { return claim_first(held.front(), true); }

void line::end_receivers(both_locks& held, wakes& to_wake) noexcept {
  while (operation* const waiting = claim_receiver(held.back())) to_wake.add(*waiting, park::phase::closed);
}

void line::close() noexcept {
  wakes to_wake;
  both_locks held{*this};
  closed_.store(true, std::memory_order_relaxed);  // L1
  while (operation* const waiting = claim_sender(held)) to_wake.add(*waiting, park::phase::closed);
  if (ended()) end_receivers(held, to_wake);
}

void line::unreserve(both_locks& held, wakes& to_wake) noexcept {
  reserved_.store(reserved_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  if (ended() && length() == 0) end_receivers(held, to_wake);
}

bool line::may_take_last() noexcept {
  back_seen_ = back_.load(std::memory_order_acquire);  // E2
  if (front_.load(std::memory_order_relaxed) + 1 != back_seen_) return true;
  constexpr int looks = 50;
  for (int i = 0; i < looks; ++i) {
    if (!receivers_.seems_locked()) return true;  // I4
    sys::spin_pause();
  }
  return false;
}

bool line::seems_possible(const operation& op) const noexcept {
  if (closed()) return true;
  if (op.what_ == operation::kind::receive) return length() > 0 || !senders_.seems_empty();
  if (!receivers_.seems_empty()) return true;
  return capacity_ != 0 && length() + reserved_.load(std::memory_order_relaxed) < capacity_;
}

bool line::spin(const operation& op) const noexcept {
  const park::queue& own = op.what_ == operation::kind::receive ? receivers_ : senders_;
  return look_for_a_while([&] {
    if (!own.seems_empty()) return look::in_vain;
    return seems_possible(op) ? look::worth_a_try : look::on;
  });
}

std::optional<wait_error> line::run(operation& op, deadline until, const std::stop_token& stop,
                                    std::source_location site) noexcept {
  if (spin(op)) {
    if (const attempt how = op.try_alone(); how != attempt::wait) return failure_of(how);
  }
  if (stop.stop_requested()) return wait_error::stopped;
  if (until.has_passed()) return wait_error::timeout;
  const blocking_region region;
  park::thread_wait wait{resource(), until, site};
  for (;;) {
    {
      wakes to_wake;
      both_locks held{*this};
      if (const attempt how = op.try_held(held, to_wake); how != attempt::wait) return failure_of(how);
      stand(held, op, wait.node(), wait.node());
    }
    const park::phase result = wait.park(until, stop);
    switch (result) {
      case park::phase::granted: return {};
      case park::phase::closed: return wait_error::closed;
      case park::phase::woken: wait.rearm(); continue;  // I3
      default: leave(op); return park::error_of(result);
    }
  }
}

// --- reservations ---

attempt reserve_operation::try_alone() noexcept {
  park::queue_guard back{where().back_lock()};
  if (where().closed()) return attempt::closed;
  if (!where().has_room()) return attempt::wait;
  where().reserve();
  return attempt::done;
}

attempt reserve_operation::try_held(both_locks&, wakes&) noexcept {
  if (where().closed()) return attempt::closed;
  if (!where().has_room()) return attempt::wait;
  where().reserve();
  return attempt::done;
}

// --- tasks ---

wait_in_line::wait_in_line(operation& op, line& where, deadline until, std::stop_token stop,
                           std::source_location site) noexcept
    : task_wait{where.resource(), until, std::move(stop), site}, op_{op} {}

bool wait_in_line::over(attempt how) noexcept {
  if (how == attempt::wait) return false;
  failure_ = failure_of(how);
  return true;
}

bool wait_in_line::ready() noexcept { return over(op_.try_alone()); }

bool wait_in_line::enqueue() noexcept {
  wakes to_wake;
  both_locks held{op_.where()};
  if (over(op_.try_held(held, to_wake))) return false;
  op_.where().stand(held, op_, node(), node());
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
  op_.where().leave(op_);
  if (result == park::phase::cancelled) return step::unwind;
  failure_ = park::error_of(result);
  return step::resume;
}

void wait_in_line::refused(park::phase result) noexcept { failure_ = park::error_of(result); }

}  // namespace channels
}  // namespace heddle
