// Deadlock: two transfers lock the same two accounts, each in its own order, and wait for each other for ever.

#include "reports.hpp"

#include <heddle/sync/mutex.hpp>

#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>
#include <latch>
#include <thread>

// [deadlock]
struct account {
  heddle::mutex lock;
  int balance = 100;
};

account alice{.lock = heddle::mutex{"alice"}};
account bob{.lock = heddle::mutex{"bob"}};
std::latch both_hold_one{2};

void transfer(account& from, account& to, int amount) {
  const std::lock_guard first{from.lock};
  both_hold_one.arrive_and_wait();
  const std::lock_guard second{to.lock};
  from.balance -= amount;
  to.balance += amount;
}
// [/deadlock]

int main() {
  reports seen;
  std::thread{transfer, std::ref(alice), std::ref(bob), 10}.detach();
  std::thread{transfer, std::ref(bob), std::ref(alice), 20}.detach();
  const auto found = seen.first(heddle::watch::problem::deadlock);
  if (found) fmt::print("{}", found->text());
  std::fflush(stdout);
  std::_Exit(found && found->how_sure == heddle::watch::confidence::certain ? 0 : 1);  // the two would never end
}
