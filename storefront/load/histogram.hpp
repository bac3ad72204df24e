#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace storefront::load {

/// Counts durations in buckets whose width is a 32nd of their size, so that a percentile is wrong by 3 % at the most.
/// Up to 38 hours; longer ones count as that. Adding allocates nothing.
class histogram {
 public:
  void add(std::chrono::nanoseconds time) noexcept;
  void add(const histogram& other) noexcept;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

  /// The duration that `share` (0 to 1) of all do not exceed, by at most the bucket's width more; zero when empty.
  [[nodiscard]] std::chrono::nanoseconds percentile(double share) const noexcept;
  [[nodiscard]] std::chrono::nanoseconds longest() const noexcept { return longest_; }

 private:
  static constexpr unsigned sub_bits = 5;
  static constexpr std::size_t buckets = (48 - sub_bits) << sub_bits;

  std::array<std::uint64_t, buckets> counts_{};
  std::uint64_t count_ = 0;
  std::chrono::nanoseconds longest_{0};
};

}  // namespace storefront::load
