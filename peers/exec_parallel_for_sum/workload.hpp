#pragma once

#include "repeat.hpp"

#include <numeric>

namespace peers {

/// More numbers than the caches hold, so that adding them is bound by the memory's bandwidth.
inline std::vector<std::uint64_t> many_numbers() {
  std::vector<std::uint64_t> numbers(std::size_t{16} << 20);  // 128 MB
  std::iota(numbers.begin(), numbers.end(), 1U);
  return numbers;
}

inline bool is_sum(std::uint64_t sum, std::size_t count) { return sum == std::uint64_t{count} * (count + 1) / 2; }

}  // namespace peers
