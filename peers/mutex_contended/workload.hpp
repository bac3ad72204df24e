#pragma once

/// Threads that share a mutex, with work inside of the lock and more of it outside: what a lock lets through when it is
/// wanted. Throughput alone would reward a lock that starves somebody, so the share of the least served thread is
/// reported beside it (1 means that all were served alike).

#include "harness.hpp"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace peers {

template <class Mutex>
int mutex_contended(int argc, char** argv) {
  constexpr int steps_inside = 20;   // about 20 ns
  constexpr int steps_outside = 80;  // about 80 ns
  struct alignas(64) count {
    std::uint64_t value = 0;
  };

  const options given = read_options(argc, argv);
  const auto threads = static_cast<std::size_t>(std::max(given.threads, 1));
  struct alignas(64) {
    Mutex mutex;
    std::uint64_t state = 88172645463325252U;
    std::uint64_t operations = 0;
  } shared;
  std::vector<count> counts(threads);
  std::atomic<std::size_t> ready{0};
  std::atomic<bool> go{false};
  std::atomic<bool> over{false};

  std::vector<std::thread> workers;
  for (std::size_t i = 0; i < threads; ++i) {
    workers.emplace_back([&, i] {
      std::uint64_t own_state = 2685821657736338717U + i;
      std::uint64_t own = 0;
      ready.fetch_add(1);
      go.wait(false);
      while (!over.load(std::memory_order_relaxed)) {
        shared.mutex.lock();
        work(shared.state, steps_inside);
        ++shared.operations;
        shared.mutex.unlock();
        work(own_state, steps_outside);
        ++own;
      }
      counts[i].value = own;
    });
  }
  while (ready.load() != threads) {
    std::this_thread::yield();
  }
  const auto start = clock::now();
  go = true;
  go.notify_all();
  std::this_thread::sleep_for(std::chrono::duration<double>(given.seconds));
  over = true;
  const double elapsed = seconds_since(start);
  for (auto& worker : workers) {
    worker.join();
  }

  std::uint64_t total = 0;
  std::uint64_t least = counts[0].value;
  for (const count& each : counts) {
    total += each.value;
    least = std::min(least, each.value);
  }
  if (shared.operations != total) {
    std::fprintf(stderr, "the lock did not exclude\n");
    return 1;
  }
  std::printf(R"({"value": %.4f, "unit": "M ops/s", "better": "higher", "least_share": %.4f})"
              "\n",
              static_cast<double>(total) / elapsed / 1e6,
              static_cast<double>(least) * static_cast<double>(threads) /
                  static_cast<double>(std::max<std::uint64_t>(total, 1)));
  return 0;
}

}  // namespace peers
