#include <heddle/park/agent.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/event.hpp>
#include <heddle/sync/guarded.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/generator.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/tasks.hpp>

#include <mutex>
#include <utility>

namespace heddle {
namespace {

using test::manual_executor;
using test::started;

constexpr int rounds = 10'000;

// Whether a task that was posted behind `greedy` came to its end before it.
template <class Greedy>
bool lets_others_run(Greedy greedy) {
  manual_executor ready;
  started first{ready, greedy()};
  bool other_ran = false;
  const auto other = [](bool& ran) -> task<void> {
    ran = true;
    co_return;
  };
  started second{ready, other(other_ran)};
  bool in_between = false;
  while (!first.has_ended()) {
    in_between = in_between || other_ran;
    if (!ready.run_one()) return false;
  }
  ready.run_all();
  return in_between;
}

TEST(task_budget, an_always_ready_loop_lets_others_run) {
  semaphore permits{rounds};
  EXPECT_TRUE(lets_others_run([&]() -> task<void> {
    for (int i = 0; i < rounds; ++i) (void)co_await permits.async_acquire();
  }));
  mutex m;
  EXPECT_TRUE(lets_others_run([&]() -> task<void> {
    for (int i = 0; i < rounds; ++i) const std::unique_lock held = co_await m.async_lock();
  }));
  EXPECT_EQ(m.holder(), 0U);
  event always;
  always.set();
  EXPECT_TRUE(lets_others_run([&]() -> task<void> {
    for (int i = 0; i < rounds; ++i) co_await always.async_wait();
  }));
  guarded<int> value;
  EXPECT_TRUE(lets_others_run([&]() -> task<void> {
    for (int i = 0; i < rounds; ++i) ++*co_await value.async_lock();
  }));
}

TEST(task_budget, counts_over_all_coroutines_of_a_task) {
  semaphore permits{rounds};
  const auto one = [](semaphore& s) -> task<void> { (void)co_await s.async_acquire(); };
  EXPECT_TRUE(lets_others_run([&]() -> task<void> {
    for (int i = 0; i < rounds; ++i) co_await one(permits);
  }));
}

TEST(task_budget, a_loop_of_tasks_that_never_wait_lets_others_run) {
  const auto nothing = []() -> task<void> { co_return; };
  EXPECT_TRUE(lets_others_run([&]() -> task<void> {
    for (int i = 0; i < rounds; ++i) co_await nothing();
  }));
  EXPECT_TRUE(lets_others_run([&]() -> task<void> {
    for (int i = 0; i < rounds; ++i) (void)co_await as_outcome(nothing());
  }));
  EXPECT_TRUE(lets_others_run([&]() -> task<void> {
    const auto numbers = []() -> generator<int> {
      for (int i = 0; i < rounds; ++i) co_yield i;
    };
    generator<int> source = numbers();
    while (co_await source.next()) {
    }
  }));
}

TEST(task_budget, is_not_spent_by_a_task_that_waits_now_and_then) {
  manual_executor ready;
  semaphore permits{rounds};
  const auto polite = [](semaphore& s) -> task<void> {
    for (int i = 0; i < 100; ++i) {
      for (unsigned n = 0; n < agent::awaits_in_a_turn / 2; ++n) (void)co_await s.async_acquire();
      co_await this_task::yield();
    }
  };
  started whole{ready, polite(permits)};
  int items = 0;
  while (ready.run_one()) ++items;
  EXPECT_TRUE(whole.has_ended());
  EXPECT_EQ(items, 101) << "it gave way only where it said so";
}

TEST(task_budget, a_stop_that_comes_while_others_run_ends_the_task) {
  manual_executor ready;
  semaphore permits{rounds};
  int got = 0;
  const auto greedy = [](semaphore& s, int& count) -> task<void> {
    for (;; ++count) (void)co_await s.async_acquire();
  };
  started whole{ready, greedy(permits, got)};
  ready.run_one();
  EXPECT_EQ(ready.pending(), 1U) << "it gives way";
  const int before = got;
  whole.stop();
  ready.run_all();
  EXPECT_TRUE(whole.was_stopped());
  EXPECT_LE(got, before + 1);
}

}  // namespace
}  // namespace heddle
