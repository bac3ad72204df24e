// The cure by try-lock: whoever cannot have the second account at once gives the first one back, and then waits for the
// one that was missing.

#include "reports.hpp"

#include <heddle/sync/mutex.hpp>

#include <fmt/core.h>

#include <mutex>
#include <thread>
#include <utility>

// [cure]
struct account {
  heddle::mutex lock;
  int balance = 100;
};

account alice{.lock = heddle::mutex{"alice"}};
account bob{.lock = heddle::mutex{"bob"}};

void transfer(account& from, account& to, int amount) {
  account* wait_for = &from;
  account* then_try = &to;
  for (;;) {
    const std::lock_guard first{wait_for->lock};
    const std::unique_lock second{then_try->lock, std::try_to_lock};
    if (second.owns_lock()) {
      from.balance -= amount;
      to.balance += amount;
      return;
    }
    std::swap(wait_for, then_try);  // next time, wait for the one that was taken
  }
}
// [/cure]

int main() {
  reports seen;
  constexpr int transfers = 20'000;
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
  fmt::print("cured by try-lock: {} transfers each way, {} reports\n", transfers, found.size());
  return alice.balance == 100 && bob.balance == 100 && found.empty() ? 0 : 1;
}
