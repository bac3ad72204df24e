#pragma once

/// What every peer program in C++ shares: its arguments, the clock, work to do beside the thing measured, and the one
/// line of JSON that it prints (harness.rs and harness.go are the same for Rust and Go):
///
///     {"value": 12.5, "unit": "M ops/s", "better": "higher"}
///
/// Further numbers in the line (`least_share`) are shown beside the value.

#include <sched.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace peers {

struct options {
  double seconds = 1.0;  ///< how long to measure
  int threads = 1;       ///< how many threads contend
  int writes = 5;        ///< how many of a hundred operations write
  int think_us = 0;      ///< how long one thinks before it answers
};

/// Reads `--seconds S`, `--threads N`, `--writes PERCENT` and `--think-us T`; ends the program with code 2 on anything
/// else.
inline options read_options(int argc, char** argv) {
  options read;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 < argc && std::strcmp(argv[i], "--seconds") == 0) {
      read.seconds = std::atof(argv[i + 1]);
    } else if (i + 1 < argc && std::strcmp(argv[i], "--threads") == 0) {
      read.threads = std::atoi(argv[i + 1]);
    } else if (i + 1 < argc && std::strcmp(argv[i], "--writes") == 0) {
      read.writes = std::atoi(argv[i + 1]);
    } else if (i + 1 < argc && std::strcmp(argv[i], "--think-us") == 0) {
      read.think_us = std::atoi(argv[i + 1]);
    } else {
      std::fprintf(stderr, "usage: %s [--seconds S] [--threads N] [--writes PERCENT] [--think-us T]\n", argv[0]);
      std::exit(2);
    }
  }
  return read;
}

using clock = std::chrono::steady_clock;

inline double seconds_since(clock::time_point start) {
  return std::chrono::duration<double>(clock::now() - start).count();
}

/// Work that the compiler cannot leave out: `steps` rounds of a xorshift generator on `state`.
inline void work(std::uint64_t& state, int steps) {
  for (int i = 0; i < steps; ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
  }
  asm volatile("" : "+r"(state));
}

/// Keeps the calling thread on one processor, the `n`th of those that the process may use, round and round.
inline void stay_on_cpu(int n) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  n %= CPU_COUNT(&allowed);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || n-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

}  // namespace peers
