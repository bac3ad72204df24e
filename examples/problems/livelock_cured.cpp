// The cure: each pauses for a random time before it steps aside, so that sooner or later only one of them does.

#include "reports.hpp"

#include <heddle/sync/backoff.hpp>

#include <fmt/core.h>

#include <atomic>
#include <thread>

using namespace std::chrono_literals;

// [cure]
std::atomic<int> side[2] = {0, 0};

bool walk(int self) {
  heddle::backoff tries{"the corridor", {.first = 1ms, .most = 20ms, .attempts = 0}};
  while (side[self] == side[1 - self]) {
    std::this_thread::sleep_for(*tries.next());
    if (side[self] == side[1 - self]) side[self] = 1 - side[self];
  }
  return true;
}
// [/cure]

int main() {
  reports seen;
  bool passed[2] = {};
  {
    const std::jthread one{[&] { passed[0] = walk(0); }};
    const std::jthread two{[&] { passed[1] = walk(1); }};
  }
  const auto found = seen.all();
  for (const auto& each : found) fmt::print("{}", each.text());
  fmt::print("livelock cured: both have passed, {} reports\n", found.size());
  return passed[0] && passed[1] && found.empty() ? 0 : 1;
}
