#pragma once

/// How much faster two are than one: short runs of one and of two in turn, so that a drift of the machine hits both.

#include "repeat.hpp"

namespace peers {

/// `one()` and `two()` do the same work on one and on two processors; or, if `both_double`, two() does twice as much.
template <class One, class Two>
void print_speed_up(const options& given, double work_of_two, One one, Two two) {
  std::vector<double> ratios;
  one();
  two();
  const auto begin = clock::now();
  do {
    const auto start = clock::now();
    one();
    const double alone = seconds_since(start);
    const auto middle = clock::now();
    two();
    ratios.push_back(work_of_two * alone / seconds_since(middle));
  } while (seconds_since(begin) < given.seconds || ratios.size() < 5);
  const auto median = ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2);
  std::nth_element(ratios.begin(), median, ratios.end());
  std::printf(R"({"value": %.4f, "unit": "x", "better": "higher"})"
              "\n",
              *median);
}

inline long serial_fib(long n) {
  asm volatile("" : "+r"(n));
  return n < 2 ? n : serial_fib(n - 1) + serial_fib(n - 2);
}

}  // namespace peers
