#include <heddle/sync/recursive_mutex.hpp>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <heddle/sync/guarded.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::loop_thread;
using test::manual_executor;
using test::started;
using test::waited_for;

static_assert(sizeof(recursive_mutex) <= 24);
constinit recursive_mutex made_at_compile_time{"constinit"};

bool another_thread_gets(recursive_mutex& m) {
  bool got = false;
  std::thread{[&] { got = std::unique_lock(m, std::try_to_lock).owns_lock(); }}.join();
  return got;
}

void expect_free(recursive_mutex& m) {
  EXPECT_EQ(m.holder(), 0U);
  EXPECT_TRUE(test::waits_for(&m).empty());
  EXPECT_TRUE(another_thread_gets(m));
}

// Takes it `deeper` times more, as a function does that calls itself.
int count_down(recursive_mutex& m, int& plain, int deeper) {
  const std::lock_guard held{m};
  ++plain;
  return deeper == 0 ? static_cast<int>(m.depth()) : count_down(m, plain, deeper - 1);
}

task<void> count_up(recursive_mutex& m, int& count, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    const std::unique_lock held = co_await m.async_lock();
    const std::unique_lock again = co_await m.async_lock();
    ++count;
  }
}

TEST(recursive_mutex, threads_and_tasks_exclude_each_other) {
  constexpr int rounds = 2'000;
  recursive_mutex m;
  int count = 0;
  {
    loop_thread one;
    loop_thread other;
    std::vector<started<void>> tasks;
    for (int i = 0; i < 2; ++i) tasks.emplace_back(one.where(), count_up(m, count, rounds));
    for (int i = 0; i < 2; ++i) tasks.emplace_back(other.where(), count_up(m, count, rounds));
    for (int i = 0; i < rounds; ++i) count_down(m, count, i % 3);
    for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  }
  int expected = 4 * rounds;
  for (int i = 0; i < rounds; ++i) expected += i % 3 + 1;
  EXPECT_EQ(count, expected);
  expect_free(m);
}

TEST(recursive_mutex, its_holder_locks_it_again_in_every_way) {
  recursive_mutex m;
  int plain = 0;
  EXPECT_EQ(count_down(m, plain, 4), 5);
  const std::lock_guard first{m};
  const std::unique_lock second(m, std::try_to_lock);
  EXPECT_TRUE(second.owns_lock());
  std::stop_source stop;
  stop.request_stop();
  const auto third = m.lock_until(deadline::after(-1s), stop.get_token());
  ASSERT_TRUE(third);
  const std::unique_lock fourth{m, 1ns};
  EXPECT_TRUE(fourth.owns_lock());
  EXPECT_EQ(m.depth(), 4U);
  const auto as_a_task = [](recursive_mutex& lock) -> task<std::uint32_t> {
    const std::unique_lock one = co_await lock.async_lock();
    const std::unique_lock two = co_await lock.async_lock();
    const auto three = co_await lock.async_lock_until(deadline::after(-1s));
    const std::lock_guard four{lock};
    co_return three ? lock.depth() : 0;
  };
  recursive_mutex another;
  EXPECT_EQ(sync_wait(as_a_task(another)), 4U);
  expect_free(another);
}

TEST(recursive_mutex, is_free_after_as_many_unlocks) {
  recursive_mutex m;
  std::unique_lock one{m};
  std::unique_lock two{m};
  std::unique_lock three(m, std::try_to_lock);
  EXPECT_EQ(m.depth(), 3U);
  EXPECT_EQ(m.holder(), current_agent().id());
  for (std::unique_lock<recursive_mutex>* each : {&two, &three, &one}) {
    EXPECT_FALSE(another_thread_gets(m));
    each->unlock();
  }
  EXPECT_EQ(m.depth(), 0U);
  expect_free(m);
}

TEST(recursive_mutex, is_held_once_however_often_it_is_locked) {
  recursive_mutex m{"twice"};
  ASSERT_EQ(current_agent().held(), 0U);
  std::unique_lock one{m};
  std::unique_lock two{m};
  ASSERT_EQ(current_agent().held(), 1U);
  EXPECT_EQ(current_agent().holds().at(0).lock, &m);
  EXPECT_STREQ(current_agent().holds().at(0).how.made().name, "twice");
  one.unlock();
  EXPECT_EQ(current_agent().held(), 1U);
  two.unlock();
  EXPECT_EQ(current_agent().held(), 0U);
}

TEST(recursive_mutex, try_lock_fails_without_waiting) {
  recursive_mutex m;
  const std::lock_guard mine{m};
  EXPECT_FALSE(another_thread_gets(m));
}

TEST(recursive_mutex, a_task_and_the_thread_that_runs_it_exclude_each_other) {
  recursive_mutex m;
  manual_executor here;
  bool enough = false;
  const auto hold = [](recursive_mutex& lock, const bool& until) -> task<void> {
    const std::unique_lock held = co_await lock.async_lock();
    while (!until) co_await this_task::yield();
  };
  const started holder{here, hold(m, enough)};
  ASSERT_TRUE(here.run_one());
  EXPECT_FALSE(m.held_by_me());
  EXPECT_EQ(m.depth(), 0U);
  EXPECT_FALSE(m.try_lock());
  enough = true;
  here.run_all();
  expect_free(m);
}

TEST(recursive_mutex, one_that_gives_up_leaves_nothing_behind) {
  recursive_mutex m{"kept"};
  std::unique_lock mine{m};
  const std::lock_guard again{m};
  std::stop_source stop;
  std::thread late{[&] {
    EXPECT_EQ(m.lock_until(deadline::after(1ms)).error(), wait_error::timeout);
    EXPECT_FALSE(m.try_lock_for(1ms));
    EXPECT_FALSE(m.try_lock_until(std::chrono::system_clock::now() + 1ms));
    EXPECT_EQ(m.lock_until({}, stop.get_token()).error(), wait_error::stopped);
  }};
  loop_thread loop;
  const auto once = [](recursive_mutex& lock) -> task<wait_error> {
    const auto got = co_await lock.async_lock_until(deadline::after(1ms));
    co_return got ? wait_error::closed : got.error();
  };
  started timed{loop.where(), once(m)};
  ASSERT_TRUE(timed.ends());
  EXPECT_EQ(timed.value(), wait_error::timeout);
  int count = 0;
  started stopped{loop.where(), count_up(m, count, 1)};
  ASSERT_TRUE(waited_for(m, 2));
  stopped.stop();
  ASSERT_TRUE(stopped.ends());
  EXPECT_TRUE(stopped.was_stopped());
  stop.request_stop();
  late.join();
  EXPECT_TRUE(test::waits_for(&m).empty());
}

TEST(recursive_mutex, a_waiter_gets_it_after_the_last_unlock) {
  recursive_mutex m{"waited for"};
  std::unique_lock one{m};
  std::unique_lock two{m};
  std::atomic<bool> got{false};
  const std::jthread other{[&] {
    const std::lock_guard held{m};
    got = true;
  }};
  ASSERT_TRUE(waited_for(m));
  const park::wait_info wait = test::waits_for(&m).front();
  EXPECT_EQ(wait.resource_name, "waited for");
  EXPECT_EQ(wait.holder, current_agent().id());
  one.unlock();
  EXPECT_FALSE(got);
  EXPECT_EQ(test::waits_for(&m).size(), 1U);
  two.unlock();
  EXPECT_TRUE(eventually([&] { return got.load(); }));
}

TEST(recursive_mutex, may_be_destroyed_right_after_the_last_unlock) {
  for (int i = 0; i < 300; ++i) {
    auto m = std::make_unique<recursive_mutex>();
    std::unique_lock one{*m};
    std::unique_lock two{*m};
    std::thread other{[&] {
      {
        const std::lock_guard held{*m};
      }
      m.reset();
    }};
    one.unlock();
    two.unlock();
    other.join();
  }
}

TEST(recursive_mutex, works_in_the_standards_and_in_guarded) {
  recursive_mutex a;
  recursive_mutex b;
  {
    const std::scoped_lock both{a, b};
    const std::scoped_lock again{b, a};
    EXPECT_EQ(a.depth() + b.depth(), 4U);
  }
  guarded<int, recursive_mutex> value{1};
  EXPECT_EQ(value.with([&](const int&) { return value.with([](int& inner) { return ++inner; }); }), 2);
}

// --- misuse ---

using recursive_mutex_misuse = test::misuse;

TEST_F(recursive_mutex_misuse, unlocking_what_is_not_held_is_fatal) {
  EXPECT_DEATH(
      {
        recursive_mutex m;
        const std::lock_guard never_taken(m, std::adopt_lock);
      },
      "recursive_mutex was unlocked by an agent that does not hold it");
  EXPECT_DEATH(
      {
        recursive_mutex m;
        {
          const std::lock_guard held{m};
        }
        const std::lock_guard once_too_often(m, std::adopt_lock);
      },
      "recursive_mutex was unlocked by an agent that does not hold it");
  EXPECT_DEATH(
      {
        recursive_mutex m;
        const std::lock_guard held{m};
        std::thread{[&m] { const std::lock_guard anothers(m, std::adopt_lock); }}.join();
      },
      "recursive_mutex was unlocked by an agent that does not hold it");
}

TEST_F(recursive_mutex_misuse, locking_it_too_deep_is_fatal) {
  EXPECT_DEATH(
      {
        recursive_mutex m;
        for (std::uint32_t i = 0; i < recursive_mutex::max_depth; ++i) std::unique_lock{m}.release();
        if (m.depth() == recursive_mutex::max_depth) std::unique_lock{m}.release();
      },
      "locked more than 16 million times");
}

TEST_F(recursive_mutex_misuse, destroying_what_is_held_is_fatal) {
  EXPECT_DEATH(
      {
        recursive_mutex m;
        std::unique_lock{m}.release();
      },
      "destroyed while it is held");
}

TEST_F(recursive_mutex_misuse, one_that_is_held_at_exit_is_no_misuse) {
  EXPECT_EXIT(
      {
        static recursive_mutex m;
        std::unique_lock{m}.release();
        std::exit(0);
      },
      testing::ExitedWithCode(0), "^$");
}

TEST_F(recursive_mutex_misuse, ending_while_holding_is_reported_for_a_thread_and_fatal_for_a_task) {
  EXPECT_EXIT(
      {
        static recursive_mutex m;
        std::thread{[] {
          std::unique_lock{m}.release();
          std::unique_lock{m}.release();
        }}.join();
        std::_Exit(m.holder() != 0 && !another_thread_gets(m) ? 0 : 1);
      },
      testing::ExitedWithCode(0), "has ended while it holds 1 lock");
  EXPECT_DEATH(
      {
        recursive_mutex m;
        const auto keep = [](recursive_mutex& lock) -> task<void> { (co_await lock.async_lock()).release(); };
        sync_wait(keep(m));
      },
      "a task has ended while it holds a lock");
}

TEST(recursive_mutex_fork, the_child_holds_it_as_deep) {
  recursive_mutex m;
  std::unique_lock one{m};
  std::unique_lock two{m};
  const pid_t child = ::fork();
  if (child == 0) {
    const bool deep = m.depth() == 2;
    two.unlock();
    one.unlock();
    ::_exit(deep && m.holder() == 0 && m.try_lock() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace heddle
