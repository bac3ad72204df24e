#pragma once

/// What looking for deadlocks, wrong orders and the rest costs a program that has none of them: threads that take a lock
/// of their own, inside of it one that they share, and work inside and outside.

#include "threads.hpp"

#include <heddle/sync/mutex.hpp>
#include <heddle/watch/settings.hpp>

namespace peers {

inline int diagnosis(int argc, char** argv, const heddle::watch::settings& how) {
  constexpr int steps_inside = 20;   // about 40 ns
  constexpr int steps_outside = 80;  // about 160 ns

  heddle::watch::configure(how);
  struct alignas(64) {
    heddle::mutex mutex{"shared"};
    std::uint64_t state = 88172645463325252U;
  } shared;
  struct alignas(64) own {
    heddle::mutex mutex{"own"};
    std::uint64_t state = 2685821657736338717U;
  };
  const options given = read_options(argc, argv);
  std::vector<own> each(static_cast<std::size_t>(given.threads));
  print(run_threads(given, [&](std::size_t i) {
    return [&shared, &mine = each[i]] {
      {
        const std::lock_guard outer{mine.mutex};
        const std::lock_guard inner{shared.mutex};
        work(shared.state, steps_inside);
      }
      work(mine.state, steps_outside);
    };
  }));
  return 0;
}

}  // namespace peers
