// The cure by order: whoever needs both accounts takes both at once, and lock_all finds an order that cannot deadlock.

#include "reports.hpp"

#include <heddle/sync/lock_all.hpp>
#include <heddle/sync/mutex.hpp>

#include <fmt/core.h>

#include <thread>

// [cure]
struct account {
  heddle::mutex lock;
  int balance = 100;
};

account alice{.lock = heddle::mutex{"alice"}};
account bob{.lock = heddle::mutex{"bob"}};

void transfer(account& from, account& to, int amount) {
  const auto both = heddle::lock_all(from.lock, to.lock);
  from.balance -= amount;
  to.balance += amount;
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
  fmt::print("cured by order: {} transfers each way, {} reports\n", transfers, found.size());
  return alice.balance == 100 && bob.balance == 100 && found.empty() ? 0 : 1;
}
