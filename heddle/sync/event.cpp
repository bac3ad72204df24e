// Event. How a waiter enters and leaves: queue_wait.cpp.
//
// State. word = automatic | waiters | set.
//   set        by anybody, but never while `waiters` is there.
//   waiters    changes only under the queue's lock; there whenever a node that can be claimed stands in the queue.
//   automatic  constant.
// Invariants.
//   I1  set and waiters exclude each other: who sets has first taken all waiters out (automatic: has found none), and who
//       enters the queue has found it unset in the step that says so.
//   I2  The store that sets is the last access to the object; those who were taken out learn it afterwards. An automatic
//       event that is handed over is not set at all, and the unlock of the queue is the last access.
// Edges.
//   E1  set: release on the word -> is_set, try_wait, look, reset: acquire.
// Progress and fairness. Who sets takes the queue's lock again for each newcomer that came between its look and its store.
// Rejected. Setting the bit first and waking after: whoever saw it might destroy the event under the hands of the waker.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/sync/event.hpp>
#include <heddle/sync/internal/claimed_waiters.hpp>

namespace heddle {

void event::set_slow() noexcept {
  sync::claimed_waiters gone;
  std::uint32_t seen = word_.load(std::memory_order_relaxed);
  for (;;) {
    if ((seen & waiters_bit) == 0) {
      if (!word_.compare_exchange_weak(seen, seen | set_bit, std::memory_order_release, std::memory_order_relaxed)) {
        continue;
      }
      break;  // E1, I2
    }
    const bool one = (seen & automatic_bit) != 0;
    park::queue_guard guard{queue_};
    const std::size_t taken = gone.take(guard, one ? 1 : sync::claimed_waiters::all);
    if (guard.empty()) word_.fetch_and(~waiters_bit, std::memory_order_relaxed);  // I1
    if (one && taken != 0) break;                                                 // I2
    seen = word_.load(std::memory_order_relaxed);
  }
  gone.publish(park::phase::granted);
}

bool event::try_wait() noexcept {
  std::uint32_t seen = word_.load(std::memory_order_acquire);  // E1
  while ((seen & set_bit) != 0) {
    if ((seen & automatic_bit) == 0 ||
        word_.compare_exchange_weak(seen, seen & ~set_bit, std::memory_order_acquire, std::memory_order_acquire)) {
      return true;
    }
  }
  return false;
}

bool event::look() noexcept {
  for (;;) {
    if (try_wait()) return true;
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while ((seen & set_bit) == 0) {
      if ((seen & waiters_bit) != 0 || word_.compare_exchange_weak(seen, seen | waiters_bit, std::memory_order_relaxed,
                                                                   std::memory_order_relaxed)) {  // I1
        return false;
      }
    }
  }
}

void event::wait(std::source_location site) noexcept {
  if (try_wait()) return;
  const sync::look how{[](void* self) noexcept { return static_cast<event*>(self)->look(); }, this};
  (void)sync::wait_in(queue_, how, resource(), deadline::never(), {}, site);
}

std::expected<void, wait_error> event::wait_until(deadline until, const std::stop_token& stop,
                                                  std::source_location site) noexcept {
  if (try_wait()) return {};
  const sync::look how{[](void* self) noexcept { return static_cast<event*>(self)->look(); }, this};
  return sync::wait_in(queue_, how, resource().for_breakable_call(), until, stop, site);
}

sync::queue_awaiter<event::asker> event::async_wait(std::source_location site) noexcept {
  return {asker{*this}, queue_, resource(), {}, {}, site};
}

sync::queue_awaiter_until<event::asker> event::async_wait_until(deadline until, std::stop_token stop,
                                                                std::source_location site) noexcept {
  return {asker{*this}, queue_, resource().for_breakable_call(), until, std::move(stop), site};
}

park::resource event::resource() const noexcept {
  return {resource_kind::event, this, origin_, queue_.named(), nullptr, 0};
}

void event::destroyed_in_use() const noexcept {
  if (!process_is_exiting()) fatal("an event was destroyed while it is waited for; set it first");
}

}  // namespace heddle
