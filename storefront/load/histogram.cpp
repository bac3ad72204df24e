#include <storefront/load/histogram.hpp>

#include <algorithm>
#include <bit>
#include <cmath>

namespace storefront::load {

namespace {

// Values below 2^(bits+1) have a bucket each; above, the leading bits after the first choose it.
template <unsigned Bits>
std::size_t bucket_of(std::uint64_t value) noexcept {
  if (value < (1U << (Bits + 1))) return value;
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - Bits;
  return (static_cast<std::size_t>(shift) << Bits) + (value >> shift);
}

template <unsigned Bits>
std::uint64_t upper_end_of(std::size_t bucket) noexcept {
  if (bucket < (1U << (Bits + 1))) return bucket;
  const std::size_t shift = (bucket >> Bits) - 1;
  const std::uint64_t leading = (bucket & ((1U << Bits) - 1)) | (1U << Bits);
  return ((leading + 1) << shift) - 1;
}

}  // namespace

void histogram::add(std::chrono::nanoseconds time) noexcept {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
  ++counts_[std::min(bucket_of<sub_bits>(value), buckets - 1)];
  ++count_;
  longest_ = std::max(longest_, time);
}

void histogram::add(const histogram& other) noexcept {
  for (std::size_t i = 0; i < buckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  longest_ = std::max(longest_, other.longest_);
}

std::chrono::nanoseconds histogram::percentile(double share) const noexcept {
  const auto rank = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets; ++i) {
    seen += counts_[i];
    if (seen >= rank && seen != 0) {
      return std::min(longest_, std::chrono::nanoseconds{static_cast<std::int64_t>(upper_end_of<sub_bits>(i))});
    }
  }
  return longest_;
}

}  // namespace storefront::load
