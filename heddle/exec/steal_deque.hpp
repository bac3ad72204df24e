#pragma once

#include <heddle/sys/barrier.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace heddle::pools {

/// A bounded deque of pointers: its owner, one thread, adds and takes back at the bottom; thieves take at the top.
///
/// State. The items are those numbered top_ … bottom_ - 1, each at its number modulo room. Numbers only grow, but for
///   the moment in which the owner takes back.
/// Invariants.
///   I1  Each item is taken once. The last one is decided by the compare-and-swap on top_, which the owner makes as
///       well; any other is the owner's, because a thief that has not seen the owner's bottom_ reads top_ before the
///       owner does (E2).
///   I2  A place is written only while top_ is past its last use, which the owner has seen (E3). A thief reads the place
///       first and moves top_ afterwards: if that succeeds, what it read was there.
/// Edges.
///   E1  bottom_ store -> bottom_ load of a thief: the place, and what the item refers to.
///   E2  Uneven. The owner stores bottom_, passes a light barrier, loads top_; a thief loads top_, passes a heavy
///       barrier, loads bottom_. If the heavy one comes before the owner's store, the owner's load comes after the
///       thief's and sees at least as much; else the thief sees the store and leaves the item alone.
///       docs/models/deque.pml.
///   E3  top_ compare-and-swap -> top_ load of the owner in push(): the thief has read the place.
/// Cost. For the owner some loads and stores, unless the item is the last one; for a thief a heavy barrier.
/// Source. D. Chase and Y. Lev, "Dynamic Circular Work-Stealing Deque", SPAA 2005; membarrier(2).
template <class T, std::size_t Room>
class steal_deque {
 public:
  static constexpr std::size_t room = Room;

  /// For the owner; to be followed by announce() of what may wake thieves. False: it is full.
  [[nodiscard]] bool push(T& item) noexcept {
    const std::uint64_t bottom = bottom_.load(std::memory_order_relaxed);
    if (bottom - known_top_ >= room) [[unlikely]] {
      known_top_ = top_.load(std::memory_order_acquire);  // E3
      if (bottom - known_top_ >= room) return false;
    }
    places_[bottom % room].store(&item, std::memory_order_relaxed);
    bottom_.store(bottom + 1, std::memory_order_release);  // E1
    return true;
  }

  /// For the owner, who knows that it is not the only one who has ever pushed: takes back the youngest item. False:
  /// another has taken it, and all before it.
  [[nodiscard]] bool take_back() noexcept {
    const std::uint64_t bottom = bottom_.load(std::memory_order_relaxed) - 1;
    bottom_.store(bottom, std::memory_order_relaxed);
    sys::light_barrier();  // E2
    if (top_.load(std::memory_order_relaxed) < bottom) [[likely]] {
      return true;
    }
    return take_back_last(bottom);
  }

  /// For the owner: the youngest item; null: none is left.
  [[nodiscard]] T* pop() noexcept {
    const std::uint64_t bottom = bottom_.load(std::memory_order_relaxed);
    if (top_.load(std::memory_order_relaxed) >= bottom || !take_back()) return nullptr;
    return places_[(bottom - 1) % room].load(std::memory_order_relaxed);
  }

  /// For thieves: the oldest item; null: there is none, or `still()`, asked while the item is there, is false.
  template <class Still>
  [[nodiscard]] T* steal(Still still) noexcept {
    std::uint64_t top = top_.load(std::memory_order_acquire);
    for (;;) {
      if (top >= bottom_.load(std::memory_order_relaxed)) return nullptr;
      sys::heavy_barrier();                                                // E2
      if (top >= bottom_.load(std::memory_order_acquire)) return nullptr;  // E1
      T* const item = places_[top % room].load(std::memory_order_relaxed);
      if (!still()) return nullptr;
      if (top_.compare_exchange_strong(top, top + 1)) return item;  // I1, I2, E3
    }
  }
  [[nodiscard]] T* steal() noexcept {
    return steal([] { return true; });
  }

  /// How many there are; exact for the owner as long as nobody steals, else already old.
  [[nodiscard]] std::size_t size() const noexcept {
    const std::uint64_t top = top_.load();
    const std::uint64_t bottom = bottom_.load();
    return bottom > top ? bottom - top : 0;
  }

  /// What push() has written last; see announce() in thread_pool.cpp.
  [[nodiscard]] std::atomic<std::uint64_t>& published() noexcept { return bottom_; }

 private:
  [[gnu::noinline]] bool take_back_last(std::uint64_t bottom) noexcept {
    std::uint64_t top = top_.load(std::memory_order_relaxed);
    const bool mine = top == bottom && top_.compare_exchange_strong(top, top + 1);  // I1
    bottom_.store(bottom + 1, std::memory_order_relaxed);
    return mine;
  }

  static constexpr std::uint64_t first = 1;

  alignas(64) std::atomic<std::uint64_t> bottom_{first};  // written by the owner
  std::uint64_t known_top_ = first;                       // the owner's own: top_ has been as large
  alignas(64) std::atomic<std::uint64_t> top_{first};
  alignas(64) std::array<std::atomic<T*>, room> places_{};
};

}  // namespace heddle::pools
