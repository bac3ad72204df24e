#pragma once

/// How long it takes until somebody who sleeps has been woken, has done nothing, and has woken the one who asked, who
/// sleeps meanwhile: the median in microseconds. Between two rounds everybody is left in peace, so that all sleep.

#include "repeat.hpp"

#include <thread>

namespace peers {

template <class Round>
void print_cold_wake(const options& given, Round round) {
  std::vector<double> times;
  const auto begin = clock::now();
  do {
    std::this_thread::sleep_for(std::chrono::microseconds(500));
    const auto start = clock::now();
    round();
    times.push_back(seconds_since(start) * 1e6);
  } while (seconds_since(begin) < given.seconds);
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  std::printf(R"({"value": %.4f, "unit": "us", "better": "lower"})"
              "\n",
              *middle);
}

}  // namespace peers
