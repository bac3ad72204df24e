#pragma once

/// One thread locks and unlocks a mutex that nobody else wants: what a lock costs when it is free. A second thread
/// exists and sleeps, because glibc's mutex leaves its atomic instructions out while the process has only one.

#include "harness.hpp"

#include <atomic>
#include <thread>

namespace peers {

template <class Mutex>
int mutex_uncontended(int argc, char** argv) {
  const options given = read_options(argc, argv);
  constexpr int batch = 100'000;
  std::atomic<bool> over{false};
  const std::jthread second([&] { over.wait(false); });
  Mutex mutex;
  std::uint64_t protected_value = 0;
  std::uint64_t operations = 0;
  const auto start = clock::now();
  double elapsed = 0;
  do {
    for (int i = 0; i < batch; ++i) {
      mutex.lock();
      asm volatile("" : "+r"(++protected_value));
      mutex.unlock();
    }
    operations += batch;
    elapsed = seconds_since(start);
  } while (elapsed < given.seconds);
  over = true;
  over.notify_all();
  if (protected_value != operations) {
    std::fprintf(stderr, "the protected value is wrong\n");
    return 1;
  }
  std::printf(R"({"value": %.4f, "unit": "M ops/s", "better": "higher", "ns_per_op": %.3f})"
              "\n",
              static_cast<double>(operations) / elapsed / 1e6, elapsed * 1e9 / static_cast<double>(operations));
  return 0;
}

}  // namespace peers
