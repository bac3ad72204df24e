#pragma once

/// Threads that begin together, repeat an operation until the time is over, and count.

#include "harness.hpp"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace peers {

struct tally {
  double elapsed = 0;       ///< seconds
  std::uint64_t total = 0;  ///< operations of all threads
  double least_share = 1;   ///< of the least served thread: 1 means that all were served alike
};

/// Runs `given.threads` threads, each of which calls what `make(i)` gave it until `given.seconds` are over.
template <class Make>
tally run_threads(const options& given, Make make) {
  struct alignas(64) count {
    std::uint64_t value = 0;
  };
  const auto threads = static_cast<std::size_t>(std::max(given.threads, 1));
  std::vector<count> counts(threads);
  std::atomic<std::size_t> ready{0};
  std::atomic<bool> go{false};
  std::atomic<bool> over{false};

  std::vector<std::thread> workers;
  for (std::size_t i = 0; i < threads; ++i) {
    workers.emplace_back([&, i] {
      auto operation = make(i);
      std::uint64_t own = 0;
      ready.fetch_add(1);
      go.wait(false);
      while (!over.load(std::memory_order_relaxed)) {
        operation();
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
  tally found;
  found.elapsed = seconds_since(start);
  for (auto& worker : workers) {
    worker.join();
  }

  std::uint64_t least = counts[0].value;
  for (const count& each : counts) {
    found.total += each.value;
    least = std::min(least, each.value);
  }
  found.least_share = static_cast<double>(least) * static_cast<double>(threads) /
                      static_cast<double>(std::max<std::uint64_t>(found.total, 1));
  return found;
}

inline void print(const tally& found) {
  std::printf(R"({"value": %.4f, "unit": "M ops/s", "better": "higher", "least_share": %.4f})"
              "\n",
              static_cast<double>(found.total) / found.elapsed / 1e6, found.least_share);
}

}  // namespace peers
