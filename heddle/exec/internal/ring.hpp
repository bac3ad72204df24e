#pragma once

#include <heddle/park/executor.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace heddle::pools {

/// A bounded queue of items, first in, first out: one adds, its owner; everybody takes, several at a time.
///
/// State. head_ <= tail_ <= head_ + room; the items are those at head_ … tail_ - 1, modulo room. Both only grow; with
///   64 bits they do not come round.
/// Invariants.
///   I1  Only the owner writes tail_ and the places. It writes a place only while head_ is past the place's last use.
///   I2  A taker reads places first and moves head_ by one compare-and-swap afterwards: if that succeeds, head_ has not
///       moved in between, so by I1 what was read is what was there. If it fails, what was read is thrown away.
/// Edges.
///   E1  tail_ store -> tail_ load: the place, and what its item refers to, are seen by the taker.
///   E2  head_ compare-and-swap -> head_ load of the owner: the taker has read the place before it is written again.
template <std::size_t Room>
class ring {
 public:
  static constexpr std::size_t room = Room;

  /// For the owner; to be followed by an announcement. False: it is full.
  [[nodiscard]] bool push(work_item& item) noexcept {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - known_head_ >= room) {
      known_head_ = head_.load(std::memory_order_acquire);  // E2
      if (tail - known_head_ >= room) return false;
    }
    places_[tail % room].store(&item, std::memory_order_relaxed);
    tail_.store(tail + 1, std::memory_order_release);  // E1
    return true;
  }

  /// Takes the oldest items, at most `most` and no more than one in `share` (rounded up); gives how many.
  template <std::size_t Most>
  [[nodiscard]] std::size_t take(std::array<work_item*, Most>& into, std::size_t most, std::size_t share) noexcept {
    std::uint64_t head = head_.load();
    for (;;) {
      const std::uint64_t length = tail_.load() - head;  // E1
      if (length == 0) return 0;
      if (length > room) {  // head is old
        head = head_.load();
        continue;
      }
      const std::size_t count = std::min({(length + share - 1) / share, most, Most});
      for (std::size_t i = 0; i < count; ++i) into[i] = places_[(head + i) % room].load(std::memory_order_relaxed);
      if (head_.compare_exchange_weak(head, head + count)) return count;  // I2, E2
    }
  }

  /// Exact for the owner, else already old.
  [[nodiscard]] std::size_t size() const noexcept {
    const std::uint64_t head = head_.load();
    const std::uint64_t tail = tail_.load();
    return tail > head ? tail - head : 0;
  }

  /// What push() has written last; see announce() in thread_pool.cpp.
  [[nodiscard]] std::atomic<std::uint64_t>& published() noexcept { return tail_; }

 private:
  alignas(64) std::atomic<std::uint64_t> head_{0};  // moved by whoever takes
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // written by the owner
  std::uint64_t known_head_ = 0;                    // the owner's own: head_ has been as large
  std::array<std::atomic<work_item*>, room> places_{};
};

}  // namespace heddle::pools
