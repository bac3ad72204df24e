#pragma once

#include <heddle/exec/internal/ring.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace heddle::pools {

/// Where one thread that is no worker posts to a pool. Its memory is never given back, so that the last access of a
/// thread that posts may come after the pool's end.
struct alignas(64) inlet {
  std::atomic<std::uint64_t> owner{0};    // the thread that posts here, 0: nobody; given up by it and by the pool's end
  std::atomic<std::uint32_t> posting{0};  // 1 while its owner is inside post()
  std::atomic<std::uint32_t> awaited{0};  // 1 once the pool's end waits for that
  inlet* next_free = nullptr;             // while it belongs to no pool
  ring<1024> items;

  void enter() noexcept { posting.store(1, std::memory_order_relaxed); }
  /// The last access of the owner to anything of the pool's.
  void leave() noexcept;
};

/// The inlets of one pool: one for each thread that posts, as long as there are not too many.
///
/// Edges.
///   E1  Uneven. leave() stores posting, passes a light barrier, loads awaited; wait_for_posters() stores awaited, passes
///       a heavy barrier, loads posting: either the owner sees that it is awaited, or the end sees that it has left.
///   E2  owner compare-and-swap: what the ring's last owner knew of it.
class inlets {
 public:
  static constexpr std::size_t most = 16;

  inlets() noexcept;
  ~inlets();
  inlets(const inlets&) = delete;
  inlets& operator=(const inlets&) = delete;

  /// The calling thread's; null: there are too many, or there is no memory.
  [[nodiscard]] inlet* mine() noexcept;

  [[nodiscard]] std::size_t count() const noexcept { return count_.load(); }
  /// For i < count().
  [[nodiscard]] inlet& at(std::size_t i) const noexcept { return *all_[i].load(std::memory_order_acquire); }

  /// Returns when nobody is inside post(); afterwards nobody may enter.
  void wait_for_posters() noexcept;

 private:
  [[nodiscard]] inlet* take_one(std::uint64_t owner) noexcept;

  const std::uint64_t serial_;  // no other pool has ever had the same
  std::atomic<std::size_t> count_{0};
  std::array<std::atomic<inlet*>, most> all_{};  // the first count_ are set, for good
};

}  // namespace heddle::pools
