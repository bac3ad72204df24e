// Livelock: two polite people meet in a corridor with two sides. Each steps aside for the other, both at the same time,
// and neither ever gets past, although both move all the time.

#include "reports.hpp"

#include <heddle/sync/backoff.hpp>

#include <fmt/core.h>

#include <barrier>
#include <thread>

// [livelock]
std::barrier<> step{2};  // both walk at the same pace
int side[2] = {0, 0};

bool try_to_pass(int self) {
  step.arrive_and_wait();
  const bool blocked = side[self] == side[1 - self];
  step.arrive_and_wait();
  if (blocked) side[self] = 1 - side[self];  // so polite
  return !blocked;
}

bool walk(int self, unsigned patience) {
  heddle::backoff tries{"the corridor", {.first = {}, .attempts = patience}};
  while (!try_to_pass(self)) {
    if (!tries.next()) return false;
  }
  return true;
}
// [/livelock]

int main() {
  reports seen;
  bool passed[2] = {};
  {
    const std::jthread one{[&] { passed[0] = walk(0, 300); }};
    const std::jthread two{[&] { passed[1] = walk(1, 300); }};
  }
  const auto found = seen.all();
  for (const auto& each : found) fmt::print("{}", each.text());
  const bool told = found.size() == 1 && found[0].what == heddle::watch::problem::livelock;
  return told && !passed[0] && !passed[1] ? 0 : 1;
}
