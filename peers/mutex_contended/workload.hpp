#pragma once

/// Threads that share a mutex, with work inside of the lock and more of it outside: what a lock lets through when it is
/// wanted. Throughput alone would reward a lock that starves somebody, so the share of the least served thread is
/// reported beside it (1 means that all were served alike).

#include "threads.hpp"

namespace peers {

template <class Mutex>
int mutex_contended(int argc, char** argv) {
  constexpr int steps_inside = 20;   // about 20 ns
  constexpr int steps_outside = 80;  // about 80 ns

  struct alignas(64) {
    Mutex mutex;
    std::uint64_t state = 88172645463325252U;
    std::uint64_t operations = 0;
  } shared;
  const tally found = run_threads(read_options(argc, argv), [&](std::size_t i) {
    return [&shared, own_state = 2685821657736338717U + i]() mutable {
      shared.mutex.lock();
      work(shared.state, steps_inside);
      ++shared.operations;
      shared.mutex.unlock();
      work(own_state, steps_outside);
    };
  });
  if (shared.operations != found.total) {
    std::fprintf(stderr, "the lock did not exclude\n");
    return 1;
  }
  print(found);
  return 0;
}

}  // namespace peers
