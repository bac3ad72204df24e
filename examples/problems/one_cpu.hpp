#pragma once

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>

/// Three threads of different rank on one CPU, as a small real-time system has them. Needs the right to real-time
/// scheduling (root, or an rtprio limit).
namespace one_cpu {

inline constexpr int low = 10;
inline constexpr int middle = 20;
inline constexpr int high = 30;

/// Keeps the calling thread on CPU 0 with the given real-time priority; returns an error number.
inline int rank_as(int priority) {
  cpu_set_t cpu;
  CPU_ZERO(&cpu);
  CPU_SET(0, &cpu);
  if (const int error = pthread_setaffinity_np(pthread_self(), sizeof cpu, &cpu); error != 0) return error;
  sched_param how{};
  how.sched_priority = priority;
  return pthread_setschedparam(pthread_self(), SCHED_FIFO, &how);
}

/// How much of the CPU the calling thread has used.
inline std::chrono::nanoseconds used() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

/// Uses the CPU for a time.
inline void compute(std::chrono::milliseconds time) {
  for (const auto end = used() + time; used() < end;) {
  }
}

inline std::chrono::microseconds since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
}

struct result {
  int error = 0;                     ///< why there is no real-time scheduling here; 0 if there is
  std::chrono::microseconds waited;  ///< how long the high thread waited for the lock
  std::chrono::microseconds held;    ///< how long the low thread held it from then on
};

/// Looks once a millisecond, and leaves the CPU to others meanwhile.
inline void wait_for(const std::atomic<bool>& flag) {
  while (!flag) std::this_thread::sleep_for(std::chrono::milliseconds{1});
}

/// The low thread takes the lock; once the high one wants it, the low one computes for `held` under it, and the middle
/// one, which has nothing to do with the lock, for `busy`.
template <class Lock>
result run(Lock& lock, std::chrono::milliseconds held, std::chrono::milliseconds busy) {
  result outcome;
  std::atomic<int> error{0};
  std::atomic<bool> locked{false};
  std::atomic<bool> wanted{false};
  const auto ranked = [&](int priority, std::function<void()> body) {
    return std::thread{[&error, priority, body = std::move(body)] {
      if (const int e = rank_as(priority); e != 0) error = e;
      body();
    }};
  };
  std::thread lower = ranked(low, [&] {
    lock.lock();
    locked = true;
    wait_for(wanted);
    const auto begin = std::chrono::steady_clock::now();
    compute(held);
    outcome.held = since(begin);
    lock.unlock();
  });
  std::thread between = ranked(middle, [&] {
    wait_for(wanted);
    compute(busy);
  });
  std::thread higher = ranked(high, [&] {
    wait_for(locked);
    const auto begin = std::chrono::steady_clock::now();
    wanted = true;
    lock.lock();
    outcome.waited = since(begin);
    lock.unlock();
  });
  lower.join();
  higher.join();
  between.join();
  outcome.error = error;
  return outcome;
}

}  // namespace one_cpu
