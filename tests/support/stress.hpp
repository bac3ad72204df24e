#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/park/snapshot.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stop_token>
#include <string>
#include <thread>

/// What the tests under pressure share.
namespace heddle::test {

/// How long each test runs: what HEDDLE_STRESS_MS says.
[[nodiscard]] inline std::chrono::milliseconds stress_time() {
  const char* set = std::getenv("HEDDLE_STRESS_MS");
  return std::chrono::milliseconds{set != nullptr ? std::atoi(set) : 700};
}

/// Ends the program with the list of all waits if nobody gets anywhere for as long as only a hang lasts.
class watchdog {
 public:
  watchdog()
      : thread_{[this](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            const std::uint64_t before = steps_.load();
            if (!eventually([&] { return stop.stop_requested() || steps_.load() != before; })) give_up();
            std::this_thread::yield();
          }
        }} {}

  void step() { steps_.fetch_add(1, std::memory_order_relaxed); }

 private:
  [[noreturn]] static void give_up() {
    for (const park::wait_info& wait : park::snapshot::take().waits) {
      std::fprintf(stderr, "agent %u (%s, thread %u) waits for %s %s, held by %u, at %s\n", wait.agent,
                   wait.name.c_str(), wait.thread, std::string{to_string(wait.waits_for)}.c_str(),
                   wait.resource_name.c_str(), wait.holder, wait.site.c_str());
    }
    std::fprintf(stderr, "nobody has got anywhere for a long time\n");
    std::abort();
  }

  std::atomic<std::uint64_t> steps_{0};
  std::jthread thread_;
};

/// A source of small random numbers of its own for each user.
class dice {
 public:
  explicit dice(unsigned seed) : engine_{seed} {}
  unsigned below(unsigned n) { return static_cast<unsigned>(engine_() % n); }
  deadline soon() { return deadline::after(std::chrono::microseconds{below(400)}); }

 private:
  std::minstd_rand engine_;
};

}  // namespace heddle::test
