// What is the mutex's own; what every lock promises is in lockable.test.cpp and the two beside it.
#include <heddle/sync/mutex.hpp>

#include <gtest/gtest.h>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
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

task<void> lock_once(mutex& m) { const std::unique_lock held = co_await m.async_lock(); }

// Takes the lock and keeps it until told.
task<void> hold_until(mutex& m, const std::atomic<bool>& enough) {
  const std::unique_lock held = co_await m.async_lock();
  while (!enough) co_await this_task::yield();
}

void expect_free(mutex& m) {
  EXPECT_EQ(m.holder(), 0U);
  EXPECT_TRUE(test::waits_for(&m).empty());
  const std::unique_lock taken{m, std::try_to_lock};
  EXPECT_TRUE(taken.owns_lock());
}

// Nobody waits, and the flag orders nothing: only the mutex does.
TEST(mutex, what_was_done_under_it_is_seen_under_it) {
  (void)current_agent().id();
  mutex m;
  alignas(64) int plain = 0;
  std::atomic<bool> done{false};
  const std::jthread before{[&] {
    {
      const std::lock_guard held{m};
      plain = 1;
    }
    done.store(true, std::memory_order_relaxed);
  }};
  ASSERT_TRUE(eventually([&] { return done.load(std::memory_order_relaxed); }));
  const std::lock_guard held{m};
  EXPECT_EQ(plain, 1);
}

TEST(mutex, try_lock_fails_without_waiting) {
  mutex m;
  std::unique_lock mine{m};
  std::jthread{[&] { EXPECT_FALSE(m.try_lock()); }}.join();
  EXPECT_FALSE(m.try_lock()) << "nor does its holder get it again";
  mine.unlock();
  expect_free(m);
}

TEST(mutex, names_its_holder) {
  mutex m;
  EXPECT_EQ(m.holder(), 0U);
  EXPECT_FALSE(m.held_by_me());
  std::unique_lock mine{m};
  EXPECT_EQ(m.holder(), current_agent().id());
  EXPECT_TRUE(m.held_by_me());
  std::jthread{[&] { EXPECT_FALSE(m.held_by_me()); }}.join();
  mine.unlock();
  EXPECT_FALSE(m.held_by_me());
}

TEST(mutex, a_waiter_is_not_passed_over_for_long) {
  mutex m;
  std::unique_lock mine{m};
  manual_executor ready;
  std::atomic<bool> enough{false};
  started waiter{ready, hold_until(m, enough)};
  ready.run_all();
  ASSERT_TRUE(waited_for(m));
  const deadline its_patience_ends = deadline::after(2ms);
  ASSERT_TRUE(eventually([&] { return its_patience_ends.has_passed(); }));
  mine.unlock();
  EXPECT_EQ(ready.pending(), 1U);
  EXPECT_FALSE(m.try_lock()) << "a newcomer went past the waiter";
  ASSERT_TRUE(ready.run_one());
  EXPECT_NE(m.holder(), 0U);
  enough = true;
  ready.run_all();
  EXPECT_TRUE(waiter.has_ended());
  expect_free(m);
}

// The manual executor stands for one that is busy: what is posted to it does not run.
TEST(mutex, a_busy_executor_does_not_keep_others_out) {
  mutex m;
  std::unique_lock mine{m};
  manual_executor busy;
  started woken{busy, lock_once(m)};
  busy.run_all();
  ASSERT_TRUE(waited_for(m));
  std::jthread behind{[&] { const std::lock_guard held{m}; }};
  ASSERT_TRUE(waited_for(m, 2));
  mine.unlock();
  EXPECT_EQ(busy.pending(), 1U);
  behind.join();
  std::jthread newcomer{[&] { const std::lock_guard held{m}; }};
  newcomer.join();
  EXPECT_FALSE(woken.has_ended());
  busy.run_all();
  EXPECT_TRUE(woken.has_ended());
  expect_free(m);
}

TEST(mutex, a_newcomer_passes_tasks_whose_executor_is_busy) {
  mutex m;
  std::unique_lock mine{m};
  manual_executor busy;
  std::vector<started<void>> tasks;
  for (int i = 0; i < 4; ++i) tasks.emplace_back(busy, lock_once(m));
  busy.run_all();
  ASSERT_TRUE(waited_for(m, 4));
  const deadline their_patience_ends = deadline::after(2ms);
  ASSERT_TRUE(eventually([&] { return their_patience_ends.has_passed(); }));
  mine.unlock();
  std::atomic<bool> has_it{false};
  std::jthread newcomer{[&] {
    const std::lock_guard held{m};
    has_it = true;
  }};
  EXPECT_TRUE(eventually([&] { return has_it.load(); }));
  busy.run_all();
  newcomer.join();
  for (const auto& each : tasks) EXPECT_TRUE(each.has_ended());
  expect_free(m);
}

TEST(mutex, tasks_of_several_busy_executors_do_not_keep_others_out) {
  mutex m;
  std::unique_lock mine{m};
  manual_executor busy[3];
  loop_thread idle;
  std::vector<started<void>> stuck;
  for (auto& each : busy) {
    stuck.emplace_back(each, lock_once(m));
    each.run_all();
  }
  ASSERT_TRUE(waited_for(m, 3));
  started free{idle.where(), lock_once(m)};
  ASSERT_TRUE(waited_for(m, 4));
  mine.unlock();
  EXPECT_TRUE(free.ends());
  for (auto& each : busy) each.run_all();
  for (const auto& each : stuck) EXPECT_TRUE(each.has_ended());
  expect_free(m);
}

TEST(mutex, a_lock_taken_by_a_task_goes_with_it_from_thread_to_thread) {
  mutex m;
  loop_thread one;
  loop_thread other;
  const auto travel = [](mutex& lock, executor& there, std::thread::id from, std::thread::id to) -> task<bool> {
    const std::unique_lock held = co_await lock.async_lock();
    bool right = std::this_thread::get_id() == from && lock.held_by_me();
    co_await this_task::resume_on(there);
    right = right && std::this_thread::get_id() == to && lock.held_by_me();
    co_return right;
  };
  started task{one.where(), travel(m, other.where(), one.id(), other.id())};
  ASSERT_TRUE(task.ends());
  EXPECT_TRUE(task.value());
  expect_free(m);
}

TEST(mutex, a_task_and_the_thread_that_runs_it_exclude_each_other) {
  mutex m;
  manual_executor here;
  std::atomic<bool> enough{false};
  started holder{here, hold_until(m, enough)};
  ASSERT_TRUE(here.run_one());
  EXPECT_NE(m.holder(), 0U);
  EXPECT_FALSE(m.held_by_me());
  EXPECT_FALSE(m.try_lock());
  EXPECT_EQ(m.lock_until(deadline::after(1ms)).error(), wait_error::timeout);
  enough = true;
  here.run_all();
  expect_free(m);
}

TEST(mutex, a_task_may_block_its_thread_and_waits_as_the_task) {
  mutex m{"blocked"};
  std::unique_lock mine{m};
  loop_thread loop;
  const auto block = [](mutex& lock) -> task<std::uint32_t> {
    const std::lock_guard held{lock};
    co_return current_agent().id();
  };
  started task{loop.where(), block(m), "blocking task"};
  ASSERT_TRUE(waited_for(m));
  const park::wait_info wait = test::waits_for(&m).front();
  EXPECT_EQ(wait.kind, agent::kind::task);
  EXPECT_EQ(wait.name, "blocking task");
  EXPECT_NE(wait.thread, 0U);
  mine.unlock();
  ASSERT_TRUE(task.ends());
  EXPECT_EQ(task.value(), wait.agent);
}

TEST(mutex, a_wait_tells_who_waits_for_what_and_who_holds_it) {
  mutex named{"the ledger"};
  mutex unnamed;
  const std::uint32_t made_at = std::source_location::current().line() - 1;
  const std::lock_guard first{named};
  const std::lock_guard second{unnamed};
  const deadline until = deadline::after(1h);
  std::stop_source stop;
  const auto before = std::chrono::steady_clock::now();
  std::jthread one{[&] { (void)named.lock_until(until, stop.get_token()); }};
  std::jthread other{[&] { (void)unnamed.lock_until({}, stop.get_token()); }};
  ASSERT_TRUE(waited_for(named));
  ASSERT_TRUE(waited_for(unnamed));
  const park::wait_info wait = test::waits_for(&named).front();
  EXPECT_EQ(wait.waits_for, resource_kind::mutex);
  EXPECT_EQ(wait.resource_name, "the ledger");
  EXPECT_EQ(wait.holder, current_agent().id());
  EXPECT_GE(wait.since, before);
  EXPECT_LE(wait.since, std::chrono::steady_clock::now());
  EXPECT_EQ(wait.until, until.time());
  EXPECT_EQ(wait.site.find("heddle/sync/mutex.test.cpp:"), 0U);
  const park::wait_info unlimited = test::waits_for(&unnamed).front();
  EXPECT_EQ(unlimited.resource_name, "heddle/sync/mutex.test.cpp:" + std::to_string(made_at));
  EXPECT_EQ(unlimited.until, std::nullopt);
  stop.request_stop();
}

// --- misuse ---

using mutex_misuse = test::misuse;

TEST_F(mutex_misuse, locking_twice_is_fatal) {
  EXPECT_DEATH(
      {
        mutex m;
        const std::lock_guard once{m};
        const std::lock_guard twice{m};
      },
      "locked twice by one agent");
  EXPECT_DEATH(
      {
        mutex m;
        const auto twice = [](mutex& lock) -> task<void> {
          const std::unique_lock first = co_await lock.async_lock();
          const std::unique_lock second = co_await lock.async_lock();
        };
        sync_wait(twice(m));
      },
      "locked twice by one agent");
}

TEST_F(mutex_misuse, unlocking_what_is_not_held_is_fatal) {
  EXPECT_DEATH(
      {
        mutex m;
        const std::lock_guard never_taken(m, std::adopt_lock);
      },
      "unlocked by an agent that does not hold it");
  EXPECT_DEATH(
      {
        mutex m;
        m.lock();
        std::jthread{[&m] { const std::lock_guard anothers(m, std::adopt_lock); }}.join();
        m.unlock();
      },
      "unlocked by an agent that does not hold it");
}

TEST_F(mutex_misuse, destroying_what_is_held_is_fatal) {
  EXPECT_DEATH(
      {
        mutex m;
        std::unique_lock{m}.release();
      },
      "destroyed while it is held");
}

TEST_F(mutex_misuse, a_task_that_ends_while_it_holds_a_lock_is_fatal) {
  EXPECT_DEATH(
      {
        mutex m;
        const auto keep = [](mutex& lock) -> task<void> { (co_await lock.async_lock()).release(); };
        sync_wait(keep(m));
      },
      "a task has ended while it holds a lock");
}

TEST_F(mutex_misuse, a_thread_that_ends_while_it_holds_a_lock_is_reported) {
  EXPECT_EXIT(
      {
        static mutex m;
        std::thread{[] { std::unique_lock{m}.release(); }}.join();
        const bool still_locked = !std::unique_lock(m, std::try_to_lock).owns_lock() && m.holder() != 0;
        bool taken_for_it = false;
        std::thread{[&] { taken_for_it = current_agent().id() == m.holder(); }}.join();
        std::_Exit(still_locked && !taken_for_it ? 0 : 1);
      },
      testing::ExitedWithCode(0), "has ended while it holds 1 lock");
}

TEST_F(mutex_misuse, a_lock_that_is_held_at_exit_is_no_misuse) {
  EXPECT_EXIT(
      {
        static mutex m;
        std::unique_lock{m}.release();
        std::exit(0);
      },
      testing::ExitedWithCode(0), "^$");
}

// The handler by which heddle learns of the exit is registered by the first agent; this one's destructor comes before it.
TEST_F(mutex_misuse, a_lock_made_after_the_first_agent_and_held_at_exit_is_none_either) {
  EXPECT_EXIT(
      {
        (void)current_agent().id();
        static mutex m;
        std::unique_lock{m}.release();
        std::exit(0);
      },
      testing::ExitedWithCode(0), "^$");
}

}  // namespace
}  // namespace heddle
