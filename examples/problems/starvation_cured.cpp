// The cure: heddle::mutex lets nobody be passed over for longer than a millisecond, however greedy the others are.

#include "reports.hpp"

#include <heddle/sync/mutex.hpp>

#include <fmt/core.h>

#include <atomic>
#include <mutex>
#include <thread>

// [cure]
heddle::mutex printer{"the printer"};
std::atomic<bool> enough{false};

void hog() {
  while (!enough) {
    const std::lock_guard mine{printer};
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds{200};
    while (std::chrono::steady_clock::now() < until) {
    }
  }
}
// [/cure]

int main() {
  reports seen;
  int turns = 0;
  {
    const std::jthread greedy{hog};
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{700};
    while (std::chrono::steady_clock::now() < end) {
      const std::lock_guard once{printer};
      ++turns;
    }
    enough = true;
  }
  const auto found = seen.all();
  for (const auto& each : found) fmt::print("{}", each.text());
  fmt::print("starvation cured: {} turns in 700 ms beside a hog, {} reports\n", turns, found.size());
  return turns > 20 && found.empty() ? 0 : 1;
}
