#pragma once

#include <cstdint>

namespace heddle::pools {

/// How many of a pool's workers do what, in one word, so that one compare-and-swap decides about them.
///
/// bits 0-15 asleep: in the pool's line of sleepers (changed only under its lock); 16-31 searching: looking for work,
/// and will look at everything once more after ceasing to; 32-47 blocked: in a blocking_region; 48-63 alive: all of
/// them, from the decision to start one to its end.
struct census {
  static constexpr std::uint64_t one_asleep = 1;
  static constexpr std::uint64_t one_searching = 1ULL << 16;
  static constexpr std::uint64_t one_blocked = 1ULL << 32;
  static constexpr std::uint64_t one_alive = 1ULL << 48;
  static constexpr std::uint64_t most = 0xffff;

  std::uint64_t word;

  [[nodiscard]] std::uint64_t asleep() const noexcept { return word & most; }
  [[nodiscard]] std::uint64_t searching() const noexcept { return word >> 16 & most; }
  [[nodiscard]] std::uint64_t blocked() const noexcept { return word >> 32 & most; }
  [[nodiscard]] std::uint64_t alive() const noexcept { return word >> 48; }

  /// Not zero if anybody sleeps, searches or is blocked: whoever makes work visible must look more closely.
  [[nodiscard]] std::uint64_t idle() const noexcept { return word & (one_alive - 1); }

  /// Those that occupy a CPU, or want to.
  [[nodiscard]] std::uint64_t active() const noexcept { return alive() - blocked() - asleep(); }

  /// Whether somebody is to be woken, or started, for new work: nobody searches and fewer than `threads` are active.
  [[nodiscard]] bool wants_more(unsigned threads) const noexcept { return searching() == 0 && active() < threads; }
};

}  // namespace heddle::pools
