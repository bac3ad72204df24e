#include <heddle/sync/async_lock_all.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/recursive_mutex.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::loop_thread;
using test::started;
using test::waited_for;

template <class... Locks>
task<void> take(int& count, int rounds, Locks&... locks) {
  for (int i = 0; i < rounds; ++i) {
    const auto held = co_await async_lock_all(locks...);
    const int before = count;
    if (i % 16 == 0) co_await this_task::yield();
    count = before + 1;
  }
}

TEST(async_lock_all, holds_all_until_it_is_destroyed) {
  mutex a;
  recursive_mutex b;
  const auto look = [](mutex& one, recursive_mutex& two) -> task<bool> {
    const auto held = co_await async_lock_all(two, one);
    co_return held.owns_locks() && one.held_by_me() && two.held_by_me() && current_agent().held() == 2;
  };
  EXPECT_TRUE(sync_wait(look(a, b)));
  const auto both = try_lock_all(a, b);
  EXPECT_TRUE(both);
}

TEST(async_lock_all, threads_and_tasks_in_any_order) {
  constexpr int rounds = 500;
  mutex a;
  recursive_mutex b;
  mutex c;
  int count = 0;
  {
    loop_thread one;
    loop_thread other;
    std::vector<started<void>> tasks;
    tasks.emplace_back(one.where(), take(count, rounds, a, b, c));
    tasks.emplace_back(one.where(), take(count, rounds, c, b, a));
    tasks.emplace_back(other.where(), take(count, rounds, b, c, a));
    tasks.emplace_back(other.where(), take(count, rounds, b, a));
    std::jthread thread{[&] {
      for (int i = 0; i < rounds; ++i) {
        const lock_all held{b, a, c};
        ++count;
      }
    }};
    std::jthread nested{[&] {
      for (int i = 0; i < rounds; ++i) {
        const std::lock_guard first{c};
        const std::lock_guard second{a};
        const std::lock_guard third{b};
        ++count;
      }
    }};
    for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  }
  EXPECT_EQ(count, 6 * rounds);
}

TEST(async_lock_all, a_stopped_task_holds_none) {
  mutex pair[2];
  for (mutex& taken : pair) {
    mutex& other = &taken == &pair[0] ? pair[1] : pair[0];
    const std::lock_guard mine{taken};
    loop_thread loop;
    int count = 0;
    started task{loop.where(), take(count, 1, other, taken)};
    ASSERT_TRUE(waited_for(taken));
    task.stop();
    ASSERT_TRUE(task.ends());
    EXPECT_TRUE(task.was_stopped());
    EXPECT_TRUE(test::waits_for(&taken).empty());
    EXPECT_TRUE(std::unique_lock(other, std::try_to_lock).owns_lock());
  }
}

TEST(async_lock_all, one_that_gives_up_holds_none) {
  mutex pair[2];
  const auto want = [](mutex& one, mutex& two, deadline until, std::stop_token stop) -> task<wait_error> {
    const auto held = co_await async_lock_all_until(until, std::move(stop), one, two);
    co_return held ? wait_error::closed : held.error();
  };
  for (mutex& taken : pair) {
    mutex& other = &taken == &pair[0] ? pair[1] : pair[0];
    std::unique_lock mine{taken};
    loop_thread loop;
    started late{loop.where(), want(other, taken, deadline::after(2ms), {})};
    ASSERT_TRUE(late.ends());
    EXPECT_EQ(late.value(), wait_error::timeout);
    std::stop_source stop;
    started stopped{loop.where(), want(taken, other, {}, stop.get_token())};
    ASSERT_TRUE(waited_for(taken));
    stop.request_stop();
    ASSERT_TRUE(stopped.ends());
    EXPECT_EQ(stopped.value(), wait_error::stopped);
    EXPECT_TRUE(std::unique_lock(other, std::try_to_lock).owns_lock());
    mine.unlock();
    started in_time{loop.where(), want(taken, other, deadline::after(1h), {})};
    ASSERT_TRUE(in_time.ends());
    EXPECT_EQ(in_time.value(), wait_error::closed) << "it has held both";
  }
}

}  // namespace
}  // namespace heddle
