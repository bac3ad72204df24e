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

/// Uses the CPU for a time.
inline void compute(std::chrono::milliseconds time) {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  const auto in_ms = [](const timespec& t) { return t.tv_sec * 1000.0 + static_cast<double>(t.tv_nsec) / 1e6; };
  const double end = in_ms(now) + static_cast<double>(time.count());
  while (in_ms(now) < end) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
}

inline std::chrono::microseconds since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
}

struct result {
  int error = 0;                     ///< why there is no real-time scheduling here; 0 if there is
  std::chrono::microseconds waited;  ///< how long the high thread waited for the lock
  std::chrono::microseconds held;    ///< how long the low thread held it
};

/// The low thread takes the lock and computes for `held` under it; then the high one wants the lock, and the middle one
/// the CPU for `busy`.
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
    const auto begin = std::chrono::steady_clock::now();
    locked = true;
    compute(held);
    outcome.held = since(begin);
    lock.unlock();
  });
  while (!locked) std::this_thread::yield();
  std::thread higher = ranked(high, [&] {
    wanted = true;
    const auto begin = std::chrono::steady_clock::now();
    lock.lock();
    outcome.waited = since(begin);
    lock.unlock();
  });
  while (!wanted) std::this_thread::yield();
  std::thread between = ranked(middle, [&] { compute(busy); });
  lower.join();
  higher.join();
  between.join();
  outcome.error = error;
  return outcome;
}

}  // namespace one_cpu
