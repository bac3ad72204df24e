#pragma once

/// Threads that do nothing but read under a shared lock: whether readers stand in each other's way. Each
/// stays on one processor, as two that share one would not meet.

#include "threads.hpp"

namespace peers {

template <class SharedMutex>
int shared_mutex_read(int argc, char** argv) {
  struct alignas(64) {
    SharedMutex mutex;
    alignas(64) std::uint64_t value = 1;
  } shared;
  print(run_threads(read_options(argc, argv), [&](std::size_t i) {
    stay_on_cpu(static_cast<int>(i));
    return [&shared, sum = std::uint64_t{0}]() mutable {
      shared.mutex.lock_shared();
      sum += shared.value;
      asm volatile("" : "+r"(sum));
      shared.mutex.unlock_shared();
    };
  }));
  return 0;
}

}  // namespace peers
