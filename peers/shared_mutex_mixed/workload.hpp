#pragma once

/// Threads that read under a shared lock and now and then write under the exclusive one, with as much work inside of the
/// lock as outside.

#include "threads.hpp"

namespace peers {

/// One operation in `writes_of_a_hundred` writes.
template <class SharedMutex>
tally mixed(const options& given) {
  constexpr int steps_inside = 50;   // about 100 ns
  constexpr int steps_outside = 50;  // about 100 ns
  struct alignas(64) {
    SharedMutex mutex;
    alignas(64) std::uint64_t value = 88172645463325252U;
  } shared;
  const auto writes = static_cast<std::uint64_t>(given.writes);
  return run_threads(given, [&](std::size_t i) {
    return [&shared, writes, own = 2685821657736338717U + i]() mutable {
      if (own % 100 < writes) {
        shared.mutex.lock();
        work(shared.value, steps_inside);
        shared.mutex.unlock();
      } else {
        shared.mutex.lock_shared();
        std::uint64_t copy = shared.value;
        work(copy, steps_inside);
        shared.mutex.unlock_shared();
      }
      work(own, steps_outside);
    };
  });
}

template <class SharedMutex>
int shared_mutex_mixed(int argc, char** argv) {
  print(mixed<SharedMutex>(read_options(argc, argv)));
  return 0;
}

}  // namespace peers
