#pragma once

/// One thread repeats an operation that nobody else takes part in: what a primitive costs when nobody has to wait. A second
/// thread exists and sleeps, because glibc's mutex leaves its atomic instructions out while the process has only one.

#include "harness.hpp"

#include <atomic>
#include <thread>

namespace peers {

/// Calls `operation` until `--seconds` are over and prints how often in a second.
template <class Operation>
int uncontended(int argc, char** argv, Operation operation) {
  const options given = read_options(argc, argv);
  constexpr int batch = 10'000;
  std::atomic<bool> over{false};
  const std::jthread second([&] { over.wait(false); });
  std::uint64_t operations = 0;
  const auto start = clock::now();
  double elapsed = 0;
  do {
    for (int i = 0; i < batch; ++i) {
      operation();
    }
    operations += batch;
    elapsed = seconds_since(start);
  } while (elapsed < given.seconds);
  over = true;
  over.notify_all();
  std::printf(R"({"value": %.4f, "unit": "M ops/s", "better": "higher", "ns_per_op": %.3f})"
              "\n",
              static_cast<double>(operations) / elapsed / 1e6, elapsed * 1e9 / static_cast<double>(operations));
  return 0;
}

}  // namespace peers
