#pragma once

/// One thread takes a permit and gives it back, and nobody else wants one. A second thread exists and sleeps, because
/// glibc's mutex leaves its atomic instructions out while the process has only one.

#include "harness.hpp"

#include <atomic>
#include <thread>

namespace peers {

/// `Semaphore{permits}` with acquire() and release().
template <class Semaphore>
int semaphore_uncontended(int argc, char** argv) {
  const options given = read_options(argc, argv);
  constexpr int batch = 100'000;
  std::atomic<bool> over{false};
  const std::jthread second([&] { over.wait(false); });
  Semaphore semaphore{3};
  std::uint64_t inside = 0;
  std::uint64_t operations = 0;
  const auto start = clock::now();
  double elapsed = 0;
  do {
    for (int i = 0; i < batch; ++i) {
      semaphore.acquire();
      asm volatile("" : "+r"(++inside));
      semaphore.release();
    }
    operations += batch;
    elapsed = seconds_since(start);
  } while (elapsed < given.seconds);
  over = true;
  over.notify_all();
  if (inside != operations) return 1;
  std::printf(R"({"value": %.4f, "unit": "M ops/s", "better": "higher", "ns_per_op": %.3f})"
              "\n",
              static_cast<double>(operations) / elapsed / 1e6, elapsed * 1e9 / static_cast<double>(operations));
  return 0;
}

}  // namespace peers
