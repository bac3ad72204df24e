// Conditions under pressure: notifications that race with deadlines, stops, other users of the mutex and destruction.
// HEDDLE_STRESS_MS sets how long each test runs.

#include <heddle/sync/condition_variable.hpp>
#include <tests/support/stress.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::dice;
using test::loop_thread;
using test::started;
using test::stress_time;
using test::watchdog;

/// What the users share: tokens that are handed out, each to be taken once.
struct exchange {
  mutex m;
  condition_variable changed;
  long tokens = 0;  // under m, like the rest
  long taken = 0;
  bool over = false;
};

/// A stop that somebody else requests at about this time.
class passing_stop {
 public:
  explicit passing_stop(bool wanted) {
    if (wanted) thread_ = std::jthread{[this] { source_.request_stop(); }};
  }
  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::jthread thread_;
};

deadline some_deadline(dice& random) { return random.below(3) == 0 ? deadline::never() : random.soon(); }

void take_tokens(exchange& x, watchdog& dog, unsigned seed) {
  dice random{seed};
  std::unique_lock lock{x.m};
  while (!x.over) {
    if (x.tokens == 0) {
      lock.unlock();
      const passing_stop stop{random.below(16) == 0};
      lock.lock();
      if (x.tokens == 0 && !x.over) (void)x.changed.wait_until(lock, some_deadline(random), stop.token());
    }
    if (x.tokens > 0) {
      --x.tokens;
      ++x.taken;
      dog.step();
    }
  }
}

task<void> take_tokens_as_task(exchange& x, watchdog& dog, unsigned seed) {
  dice random{seed};
  for (bool over = false; !over;) {
    const passing_stop stop{random.below(16) == 0};
    std::unique_lock lock = co_await x.m.async_lock();
    if (x.tokens == 0 && !x.over) {
      (void)co_await x.changed.async_wait(lock, some_deadline(random), stop.token());
    }
    if (x.tokens > 0) {
      --x.tokens;
      ++x.taken;
      dog.step();
    }
    over = x.over;
  }
}

// Each token is made known once, by a notify_one. Were one used up by a waiter that gives up, or forgotten on the way
// from one queue to the other, the tokens would lie there while all who have no deadline sleep.
TEST(condition_stress, deadlines_and_stops_racing_with_notifications_lose_no_token) {
  exchange x;
  watchdog dog;
  loop_thread one;
  loop_thread other;
  long made = 0;
  std::vector<started<void>> tasks;
  for (unsigned i = 0; i < 4; ++i)
    tasks.emplace_back(i < 2 ? one.where() : other.where(), take_tokens_as_task(x, dog, i));
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < 3; ++i) threads.emplace_back([&, i] { take_tokens(x, dog, 100 + i); });
    dice random{7};
    const auto end = std::chrono::steady_clock::now() + stress_time();
    while (std::chrono::steady_clock::now() < end) {
      std::unique_lock lock{x.m};
      ++x.tokens;
      ++made;
      if (random.below(2) == 0) lock.unlock();
      if (random.below(8) == 0) {
        x.changed.notify_all();
      } else {
        x.changed.notify_one();
      }
      if (lock.owns_lock()) lock.unlock();
      if (random.below(4) == 0) std::this_thread::yield();
    }
    ASSERT_TRUE(test::eventually([&] {
      const std::lock_guard lock{x.m};
      return x.tokens == 0;
    })) << "somebody sleeps beside a token";
    const std::lock_guard lock{x.m};
    x.over = true;
    x.changed.notify_all();
  }
  for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  EXPECT_EQ(x.taken, made);
  EXPECT_EQ(x.m.holder(), 0U);
}

// Each round has its own condition, which goes as soon as all have been notified, and its own mutex, which goes when the
// last user has left.
TEST(condition_stress, conditions_and_mutexes_that_go_at_once_are_not_touched_any_more) {
  struct meeting {
    mutex m;
    std::optional<condition_variable> called{std::in_place};
    int waiting = 0;
    std::atomic<int> users{4};
  };
  const auto leave = [](meeting* at) {
    if (at->users.fetch_sub(1) == 1) delete at;
  };
  const auto come_as_task = [](meeting* at, decltype(leave) leaves, std::atomic<int>& gone) -> task<void> {
    {
      std::unique_lock lock = co_await at->m.async_lock();
      ++at->waiting;
      (void)co_await at->called->async_wait(lock);
    }
    leaves(at);
    ++gone;
  };
  watchdog dog;
  loop_thread loop;
  const auto end = std::chrono::steady_clock::now() + stress_time();
  int round = 0;
  while (std::chrono::steady_clock::now() < end) {
    auto* at = new meeting;
    std::atomic<int> gone{0};
    started<void> task{loop.where(), come_as_task(at, leave, gone)};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&, at] {
        {
          std::unique_lock lock{at->m};
          ++at->waiting;
          at->called->wait(lock);
        }
        leave(at);
        ++gone;
      });
    }
    for (bool called = false; !called;) {
      std::unique_lock lock{at->m};
      if (at->waiting < 3) continue;
      if (round % 2 == 0) lock.unlock();
      at->called->notify_all();
      at->called.reset();
      called = true;
    }
    leave(at);
    threads.clear();
    ASSERT_TRUE(task.ends());
    EXPECT_EQ(gone, 3);
    dog.step();
    ++round;
  }
  EXPECT_GT(round, 0);
}

// Locks of both kinds at one condition.
TEST(condition_stress, waiters_with_several_locks_all_come_back) {
  mutex own[2];
  std::mutex foreign;
  condition_variable changed;
  std::atomic<bool> over{false};
  std::atomic<int> left{5};
  watchdog dog;
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < 5; ++i) {
    threads.emplace_back([&, i] {
      dice random{i};
      const auto wait_with = [&](auto& m) {
        std::unique_lock lock{m};
        if (!over) (void)changed.wait_until(lock, random.soon());
        dog.step();
      };
      while (!over) {
        if (i < 4) {
          wait_with(own[i % 2]);
        } else {
          wait_with(foreign);
        }
      }
      --left;
    });
  }
  dice random{99};
  const auto end = std::chrono::steady_clock::now() + stress_time();
  while (std::chrono::steady_clock::now() < end) {
    std::unique_lock lock{own[random.below(2)], std::defer_lock};
    if (random.below(2) == 0) lock.lock();
    if (random.below(2) == 0) {
      changed.notify_all();
    } else {
      changed.notify_one();
    }
  }
  over = true;
  threads.clear();
  EXPECT_EQ(left, 0);
  EXPECT_EQ(own[0].holder() + own[1].holder(), 0U);
}

}  // namespace
}  // namespace heddle
