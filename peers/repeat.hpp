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

/// Ends the program when a result is not what it must be.
inline void expect(bool right, const char* what) {
  if (right) return;
  std::fprintf(stderr, "%s is wrong\n", what);
  std::exit(1);
}

}  // namespace peers
