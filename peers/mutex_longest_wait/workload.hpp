#pragma once

/// A lock that is wanted all the time: all threads but one take it again and again, each time for about 20 microseconds.
/// The last one wants it every 5 ms, at times that are fixed beforehand, as requests arrive whether or not the one before
/// has been served; its wait counts from the time that was intended, so who keeps it out is charged for all that it could
/// not begin meanwhile. The value is its longest wait.

#include "threads.hpp"

#include <sys/prctl.h>

#include <cstddef>

namespace peers {

template <class Mutex>
int mutex_longest_wait(int argc, char** argv) {
  constexpr int steps_inside = 10'000;  // about 20 us
  constexpr int steps_outside = 1'000;  // about 2 us
  constexpr std::chrono::milliseconds period{5};
  const options given = read_options(argc, argv);
  struct alignas(64) {
    Mutex mutex;
    std::uint64_t state = 88172645463325252U;
    std::uint64_t operations = 0;
  } shared;
  const auto operation = [&shared] {
    work(shared.state, steps_inside);
    ++shared.operations;
  };

  std::atomic<bool> over{false};
  std::vector<std::uint64_t> counts(static_cast<std::size_t>(given.threads - 1));
  std::vector<std::thread> others;
  for (std::uint64_t& count : counts) {
    others.emplace_back([&] {
      std::uint64_t own_state = 2685821657736338717U;
      for (; !over.load(std::memory_order_relaxed); ++count) {
        shared.mutex.lock();
        operation();
        shared.mutex.unlock();
        work(own_state, steps_outside);
      }
    });
  }

  prctl(PR_SET_TIMERSLACK, 1UL);
  std::vector<double> waits;
  const auto start = clock::now();
  const auto end = start + std::chrono::duration<double>(given.seconds);
  for (auto intended = start + period; intended < end; intended += period) {
    if (clock::now() < intended) std::this_thread::sleep_until(intended);
    shared.mutex.lock();
    waits.push_back(seconds_since(intended) * 1e6);
    operation();
    shared.mutex.unlock();
  }
  over = true;
  for (auto& other : others) {
    other.join();
  }

  std::uint64_t total = waits.size();
  for (const std::uint64_t count : counts) total += count;
  if (shared.operations != total || waits.empty()) {
    std::fprintf(stderr, "the lock did not exclude\n");
    return 1;
  }
  std::sort(waits.begin(), waits.end());
  std::printf(R"({"value": %.1f, "unit": "us", "better": "lower", "median": %.1f, "locks_per_ms": %.2f})"
              "\n",
              waits.back(), waits[waits.size() / 2], static_cast<double>(total) / seconds_since(start) / 1e3);
  return 0;
}

}  // namespace peers
