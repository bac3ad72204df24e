// The cure by timeout: whoever does not get the second account soon gives the first one back, pauses for a random time, and
// tries again.

#include "reports.hpp"

#include <heddle/sync/backoff.hpp>
#include <heddle/sync/mutex.hpp>

#include <fmt/core.h>

#include <thread>

using namespace std::chrono_literals;

// [cure]
struct account {
  heddle::mutex lock;
  int balance = 100;
};

account alice{.lock = heddle::mutex{"alice"}};
account bob{.lock = heddle::mutex{"bob"}};

bool try_transfer(account& from, account& to, int amount) {
  const std::lock_guard first{from.lock};
  const auto second = to.lock.lock_until(heddle::deadline::after(2ms));
  if (!second) return false;
  from.balance -= amount;
  to.balance += amount;
  return true;
}

void transfer(account& from, account& to, int amount) {
  heddle::backoff pauses{{.first = 1ms, .most = 20ms, .attempts = 0}};
  while (!try_transfer(from, to, amount)) std::this_thread::sleep_for(*pauses.next());
}
// [/cure]

int main() {
  reports seen;
  constexpr int transfers = 2'000;
  {
    const std::jthread one{[] {
      for (int i = 0; i < transfers; ++i) transfer(alice, bob, 10);
    }};
    const std::jthread two{[] {
      for (int i = 0; i < transfers; ++i) transfer(bob, alice, 10);
    }};
  }
  const auto found = seen.all();
  for (const auto& each : found) fmt::print("{}", each.text());
  fmt::print("cured by timeout: {} transfers each way, {} reports\n", transfers, found.size());
  return alice.balance == 100 && bob.balance == 100 && found.empty() ? 0 : 1;
}
