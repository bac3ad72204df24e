// Latch. How a waiter enters and leaves: queue_wait.cpp.
//
// State. word = count << 1 | waiters.
//   count      by anybody, downwards only.
//   waiters    changes only under the queue's lock; there whenever a node that can be claimed stands in the queue.
// Invariants.
//   I1  A count of zero and waiters exclude each other: who counts to zero has first taken all waiters out, and who enters
//       the queue has found more than zero in the step that says so.
//   I2  The store that counts is the last access to the object; those who were taken out learn it afterwards.
// Edges.
//   E1  count_down: release on the word, and each is a read-modify-write -> try_wait, look: acquire. All of those who
//       counted are seen.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/sync/internal/claimed_waiters.hpp>
#include <heddle/sync/latch.hpp>

namespace heddle {

void latch::count_down_slow(std::uint32_t n) noexcept {
  sync::claimed_waiters gone;
  std::uint32_t seen = word_.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint32_t left = seen >> 1U;
    if (n > left) fatal("a latch was counted down below zero");
    if (n == left && (seen & waiters_bit) != 0) {
      park::queue_guard guard{queue_};
      gone.take(guard, sync::claimed_waiters::all);
      word_.fetch_and(~waiters_bit, std::memory_order_relaxed);  // I1
      seen = word_.load(std::memory_order_relaxed);
    } else if (word_.compare_exchange_weak(seen, seen - (n << 1U), std::memory_order_release,
                                           std::memory_order_relaxed)) {  // E1, I2
      break;
    }
  }
  gone.publish(park::phase::granted);
}

bool latch::look() noexcept {
  std::uint32_t seen = word_.load(std::memory_order_acquire);
  for (;;) {
    if (seen >> 1U == 0) return true;  // E1
    if ((seen & waiters_bit) != 0 || word_.compare_exchange_weak(seen, seen | waiters_bit, std::memory_order_acquire,
                                                                 std::memory_order_acquire)) {  // I1
      return false;
    }
  }
}

void latch::wait_slow(std::source_location site) noexcept {
  const sync::look how{[](void* self) noexcept { return static_cast<latch*>(self)->look(); }, this};
  (void)sync::wait_in(queue_, how, resource(), deadline::never(), {}, site);
}

std::expected<void, wait_error> latch::wait_until(deadline until, const std::stop_token& stop,
                                                  std::source_location site) noexcept {
  if (try_wait()) return {};
  const sync::look how{[](void* self) noexcept { return static_cast<latch*>(self)->look(); }, this};
  return sync::wait_in(queue_, how, resource().for_breakable_call(), until, stop, site);
}

sync::queue_awaiter<latch::asker> latch::async_wait(std::source_location site) noexcept {
  return {asker{*this, 0}, queue_, resource(), {}, {}, site};
}

sync::queue_awaiter_until<latch::asker> latch::async_wait_until(deadline until, std::stop_token stop,
                                                                std::source_location site) noexcept {
  return {asker{*this, 0}, queue_, resource().for_breakable_call(), until, std::move(stop), site};
}

sync::queue_awaiter<latch::asker> latch::async_arrive_and_wait(std::uint32_t n, std::source_location site) noexcept {
  return {asker{*this, n}, queue_, resource(), {}, {}, site};
}

sync::queue_awaiter_until<latch::asker> latch::async_arrive_and_wait_until(deadline until, std::stop_token stop,
                                                                           std::uint32_t n,
                                                                           std::source_location site) noexcept {
  return {asker{*this, n}, queue_, resource().for_breakable_call(), until, std::move(stop), site};
}

park::resource latch::resource() const noexcept {
  return {resource_kind::latch, this, origin_, queue_.named(), nullptr, 0};
}

void latch::too_many() noexcept { fatal("a latch counts from at most 2147483647"); }

void latch::destroyed_in_use() const noexcept {
  if (!process_is_exiting()) fatal("a latch was destroyed while it is waited for");
}

}  // namespace heddle
