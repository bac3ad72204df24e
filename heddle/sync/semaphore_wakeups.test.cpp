// No permit is lost on its way to somebody who waits for it.
#include <gtest/gtest.h>
#include <heddle/sync/barrier.hpp>
#include <heddle/sync/semaphore.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::loop_thread;
using test::started;

// Each round begins when all have been woken in the one before: one wake-up lost, and nobody goes on.
TEST(semaphore_wakeups, permits_released_one_by_one_reach_everybody) {
  constexpr int waiters = 8;
  constexpr int rounds = 400;
  semaphore permits{0};
  barrier round{waiters + 1};
  std::vector<std::jthread> threads;
  for (int t = 0; t < waiters; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < rounds; ++i) {
        permits.acquire().use_up();
        round.arrive_and_wait();
      }
    });
  }
  for (int i = 0; i < rounds; ++i) {
    for (int t = 0; t < waiters; ++t) permits.release();
    round.arrive_and_wait();
  }
  threads.clear();
  EXPECT_EQ(permits.available(), 0U);
}

TEST(semaphore_wakeups, permits_released_together_reach_everybody) {
  constexpr int waiters = 8;
  constexpr int rounds = 400;
  semaphore permits{0};
  barrier round{waiters + 1};
  std::vector<std::jthread> threads;
  for (int t = 0; t < waiters; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < rounds; ++i) {
        permits.acquire().use_up();
        round.arrive_and_wait();
      }
    });
  }
  for (int i = 0; i < rounds; ++i) {
    permits.release(waiters);
    round.arrive_and_wait();
  }
  threads.clear();
  EXPECT_EQ(permits.available(), 0U);
}

// Those with deadlines try again; nobody else would bring back a permit that got lost.
TEST(semaphore_wakeups, permits_reach_those_who_give_up_and_try_again) {
  constexpr int waiters = 16;
  constexpr int rounds = 300;
  semaphore permits{0};
  std::atomic<int> got{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < waiters; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < rounds;) {
        auto permit = permits.acquire_until(deadline::after(std::chrono::microseconds{20 * (t + 1)}));
        if (!permit) continue;
        permit->use_up();
        ++got;
        ++i;
      }
    });
  }
  for (int i = 0; i < rounds; ++i) {
    permits.release(waiters);
    if (i % 16 == 0) {
      EXPECT_TRUE(eventually([&] { return got >= waiters * i; }));
    }
  }
  threads.clear();
  EXPECT_EQ(got, waiters * rounds);
  EXPECT_EQ(permits.available(), 0U);
}

TEST(semaphore_wakeups, permits_reach_threads_and_tasks) {
  constexpr int waiters = 4;
  constexpr int rounds = 500;
  semaphore permits{0};
  std::atomic<int> got{0};
  const auto take = [](semaphore& from, std::atomic<int>& count) -> task<void> {
    for (int i = 0; i < rounds; ++i) {
      (co_await from.async_acquire()).use_up();
      ++count;
    }
  };
  loop_thread one;
  loop_thread other;
  std::vector<started<void>> tasks;
  std::vector<std::jthread> threads;
  for (int t = 0; t < waiters; ++t) {
    tasks.emplace_back(t % 2 == 0 ? one.where() : other.where(), take(permits, got));
    threads.emplace_back([&] {
      for (int i = 0; i < rounds; ++i) {
        permits.acquire().use_up();
        ++got;
      }
    });
  }
  for (int i = 0; i < 2 * waiters * rounds; ++i) {
    if (i % 3 != 2) {
      permits.release();
    } else {
      EXPECT_TRUE(eventually([&] { return got >= i; }));  // everything that was released has arrived
      permits.release();
    }
  }
  for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  threads.clear();
  EXPECT_EQ(got, 2 * waiters * rounds);
}

}  // namespace
}  // namespace heddle
