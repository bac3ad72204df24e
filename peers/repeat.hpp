#pragma once

/// A piece of work that is repeated until the time is over, and how long one run of it takes.

#include "harness.hpp"

#include <algorithm>
#include <vector>

namespace peers {

/// Runs `once()` until `given.seconds` are over, a first time for nothing, and gives the median in milliseconds.
template <class Once>
double median_ms(const options& given, Once once) {
  once();
  std::vector<double> runs;
  const auto begin = clock::now();
  do {
    const auto start = clock::now();
    once();
    runs.push_back(seconds_since(start) * 1e3);
  } while (seconds_since(begin) < given.seconds || runs.size() < 3);
  const auto middle = runs.begin() + static_cast<std::ptrdiff_t>(runs.size() / 2);
  std::nth_element(runs.begin(), middle, runs.end());
  return *middle;
}

inline void print_ms(double ms) {
  std::printf(R"({"value": %.4f, "unit": "ms", "better": "lower"})"
              "\n",
              ms);
}

/// Runs `batch()`, which does `size` operations, until `given.seconds` are over, and prints how many are done in a second.
template <class Batch>
void print_rate(const options& given, std::uint64_t size, Batch batch) {
  batch();
  std::uint64_t operations = 0;
  double elapsed = 0;
  const auto start = clock::now();
  do {
    batch();
    operations += size;
    elapsed = seconds_since(start);
  } while (elapsed < given.seconds);
  std::printf(R"({"value": %.4f, "unit": "M ops/s", "better": "higher", "ns_per_op": %.3f})"
              "\n",
              static_cast<double>(operations) / elapsed / 1e6, elapsed * 1e9 / static_cast<double>(operations));
}

/// Ends the program when a result is not what it must be.
inline void expect(bool right, const char* what) {
  if (right) return;
  std::fprintf(stderr, "%s is wrong\n", what);
  std::exit(1);
}

}  // namespace peers
