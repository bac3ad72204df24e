#pragma once

#include <heddle/sys/futex.hpp>

#include <atomic>
#include <cstdint>
#include <limits>

namespace heddle::park {

/// A lock for park's own few global structures (the clock's heap). Not an agent's wait: held for a few hundred
/// nanoseconds, never while anything waits.
///
/// State: 0 free, 1 held, 2 held and somebody may sleep. Source: U. Drepper, "Futexes Are Tricky", mutex 2.
class small_lock {
 public:
  void lock() noexcept {
    std::uint32_t expected = 0;
    if (word_.compare_exchange_strong(expected, 1, std::memory_order_acquire)) return;
    while (word_.exchange(2, std::memory_order_acquire) != 0) {
      sys::futex_wait(word_, 2, std::numeric_limits<std::int64_t>::max());
    }
  }
  [[nodiscard]] bool try_lock() noexcept {
    std::uint32_t expected = 0;
    return word_.compare_exchange_strong(expected, 1, std::memory_order_acquire);
  }
  void unlock() noexcept {
    if (word_.exchange(0, std::memory_order_release) == 2) sys::futex_wake(word_, 1);
  }

 private:
  std::atomic<std::uint32_t> word_{0};
};

}  // namespace heddle::park
