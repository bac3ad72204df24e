#pragma once

#include <heddle/park/executor.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace heddle::pools {

/// A worker's own queue: bounded, first in, first out. The owner adds; everybody takes, the owner one by one, thieves
/// half of it at a time.
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
///   tail_ is sequentially consistent besides: see I1 of thread_pool.cpp.
class ring {
 public:
  static constexpr std::size_t room = 256;

  /// For the owner. False: it is full.
  [[nodiscard]] bool push(work_item& item) noexcept {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load() == room) return false;  // E2
    places_[tail % room].store(&item, std::memory_order_relaxed);
    tail_.store(tail + 1);  // E1
    return true;
  }

  /// For the owner; null: it is empty.
  [[nodiscard]] work_item* pop() noexcept {
    std::uint64_t head = head_.load();
    for (;;) {
      if (head == tail_.load(std::memory_order_relaxed)) return nullptr;
      work_item* const item = places_[head % room].load(std::memory_order_relaxed);
      if (head_.compare_exchange_weak(head, head + 1)) return item;  // I2, E2
    }
  }

  /// For the owner of `into`, which must be empty: moves half of this ring there. Returns one more, to be run at once;
  /// null: nothing to take.
  [[nodiscard]] work_item* steal_half(ring& into, std::size_t& taken) noexcept {
    std::array<work_item*, room / 2> stolen;
    std::uint64_t head = head_.load();
    for (;;) {
      const std::uint64_t length = tail_.load() - head;  // E1
      if (length == 0) return nullptr;
      if (length > room) {  // head is old
        head = head_.load();
        continue;
      }
      const std::size_t count = (length + 1) / 2;
      for (std::size_t i = 0; i < count; ++i) {
        stolen[i] = places_[(head + i) % room].load(std::memory_order_relaxed);
      }
      if (!head_.compare_exchange_weak(head, head + count)) continue;  // I2, E2
      for (std::size_t i = 1; i < count; ++i) (void)into.push(*stolen[i]);
      taken = count;
      return stolen[0];
    }
  }

  /// Exact for the owner, else already old.
  [[nodiscard]] std::size_t size() const noexcept {
    const std::uint64_t head = head_.load();
    const std::uint64_t tail = tail_.load();
    return tail > head ? tail - head : 0;
  }

 private:
  alignas(64) std::atomic<std::uint64_t> head_{0};  // moved by whoever takes
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // written by the owner
  std::array<std::atomic<work_item*>, room> places_{};
};

}  // namespace heddle::pools
