#include <heddle/sync/mutex.hpp>

#include <gtest/gtest.h>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
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

task<void> count_up(mutex& m, int& count, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    const std::unique_lock held = co_await m.async_lock();
    ++count;
  }
}

task<void> lock_once(mutex& m) { const std::unique_lock held = co_await m.async_lock(); }

task<std::expected<void, wait_error>> lock_until_once(mutex& m, deadline until, std::stop_token stop = {}) {
  const auto held = co_await m.async_lock_until(until, std::move(stop));
  if (!held) co_return std::unexpected{held.error()};
  co_return std::expected<void, wait_error>{};
}

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

TEST(mutex, excludes) {
  constexpr int threads = 4;
  constexpr int rounds = 5'000;
  mutex m;
  int count = 0;  // plain: what is done before unlock() must be seen after the next lock()
  {
    std::vector<std::jthread> running;
    for (int t = 0; t < threads; ++t) {
      running.emplace_back([&] {
        for (int i = 0; i < rounds; ++i) {
          const std::lock_guard held{m};
          ++count;
        }
      });
    }
  }
  EXPECT_EQ(count, threads * rounds);
  expect_free(m);
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

TEST(mutex, threads_and_tasks_exclude_each_other) {
  constexpr int rounds = 3'000;
  mutex m;
  int count = 0;
  {
    loop_thread one;
    loop_thread other;
    std::vector<started<void>> tasks;
    for (int i = 0; i < 3; ++i) tasks.emplace_back(one.where(), count_up(m, count, rounds));
    for (int i = 0; i < 3; ++i) tasks.emplace_back(other.where(), count_up(m, count, rounds));
    for (int i = 0; i < rounds; ++i) {
      const std::lock_guard held{m};
      ++count;
    }
    for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  }
  EXPECT_EQ(count, 7 * rounds);
  expect_free(m);
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

TEST(mutex, a_free_lock_is_taken_even_late) {
  mutex m;
  EXPECT_TRUE(m.lock_until(deadline::after(-1s)));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(m.lock_until(deadline::never(), stop.get_token()));
  EXPECT_TRUE(sync_wait(lock_until_once(m, deadline::after(-1s), stop.get_token())));
  expect_free(m);
}

TEST(mutex, a_held_lock_is_refused_at_once_when_late) {
  mutex m;
  const std::lock_guard held{m};
  std::stop_source stop;
  stop.request_stop();
  std::jthread{[&] {
    EXPECT_EQ(m.lock_until(deadline::after(-1s)).error(), wait_error::timeout);
    EXPECT_EQ(m.lock_until(deadline::never(), stop.get_token()).error(), wait_error::stopped);
    EXPECT_EQ(sync_wait(lock_until_once(m, deadline::after(-1s))), std::unexpected{wait_error::timeout});
    EXPECT_EQ(sync_wait(lock_until_once(m, {}, stop.get_token())), std::unexpected{wait_error::stopped});
    EXPECT_TRUE(sync_wait_outcome(lock_once(m), {stop.get_token(), {}}).is_stopped());
  }}.join();
}

TEST(mutex, a_timeout_leaves_no_waiter_behind) {
  mutex m;
  std::unique_lock mine{m};
  const deadline until = deadline::after(5ms);
  std::jthread{[&] {
    EXPECT_EQ(m.lock_until(until).error(), wait_error::timeout);
    EXPECT_TRUE(until.has_passed());
    EXPECT_FALSE(m.try_lock_for(1ms));
    EXPECT_FALSE(m.try_lock_until(std::chrono::system_clock::now() + 1ms));
  }}.join();
  EXPECT_TRUE(test::waits_for(&m).empty());
  mine.unlock();
  expect_free(m);
}

TEST(mutex, a_task_times_out) {
  mutex m;
  std::unique_lock mine{m};
  const deadline until = deadline::after(5ms);
  EXPECT_EQ(sync_wait(lock_until_once(m, until)), std::unexpected{wait_error::timeout});
  EXPECT_TRUE(until.has_passed());
  EXPECT_TRUE(test::waits_for(&m).empty());
  mine.unlock();
  expect_free(m);
}

TEST(mutex, a_stopped_waiter_does_not_strand_the_next) {
  mutex m;
  std::unique_lock mine{m};
  std::stop_source stop;
  std::atomic<bool> has_it{false};
  std::jthread first{
      [&] { EXPECT_EQ(m.lock_until(deadline::never(), stop.get_token()).error(), wait_error::stopped); }};
  ASSERT_TRUE(waited_for(m, 1));
  std::jthread next{[&] {
    const std::lock_guard held{m};
    has_it = true;
  }};
  ASSERT_TRUE(waited_for(m, 2));
  stop.request_stop();
  first.join();
  EXPECT_EQ(test::waits_for(&m).size(), 1U);
  mine.unlock();
  EXPECT_TRUE(eventually([&] { return has_it.load(); }));
  next.join();
  expect_free(m);
}

TEST(mutex, a_task_is_stopped_by_the_token_it_passes) {
  mutex m;
  std::unique_lock mine{m};
  manual_executor ready;
  std::stop_source stop;
  started waiter{ready, lock_until_once(m, {}, stop.get_token())};
  ready.run_all();
  ASSERT_TRUE(waited_for(m));
  stop.request_stop();
  EXPECT_EQ(ready.pending(), 1U);
  ready.run_all();
  ASSERT_TRUE(waiter.has_ended());
  EXPECT_EQ(waiter.value(), std::unexpected{wait_error::stopped});
  mine.unlock();
  expect_free(m);
}

TEST(mutex, a_stopped_task_leaves_no_waiter_behind) {
  mutex m;
  std::unique_lock mine{m};
  manual_executor ready;
  started waiter{ready, lock_once(m)};
  started next{ready, lock_once(m)};
  ready.run_all();
  ASSERT_TRUE(waited_for(m, 2));
  waiter.stop();
  ready.run_all();
  ASSERT_TRUE(waiter.has_ended());
  EXPECT_TRUE(waiter.was_stopped());
  EXPECT_EQ(test::waits_for(&m).size(), 1U);
  mine.unlock();
  ready.run_all();
  EXPECT_TRUE(next.has_ended());
  expect_free(m);
}

// The stop comes after the wake: the task takes what it was woken for, and unwinds at its next wait, if there is one.
TEST(mutex, a_stop_after_the_wake_comes_too_late) {
  mutex m;
  std::unique_lock mine{m};
  manual_executor ready;
  started waiter{ready, lock_once(m)};
  ready.run_all();
  ASSERT_TRUE(waited_for(m));
  mine.unlock();
  waiter.stop();
  ready.run_all();
  ASSERT_TRUE(waiter.has_ended());
  EXPECT_FALSE(waiter.was_stopped());
  expect_free(m);
}

TEST(mutex, waiters_are_served_oldest_first) {
  const auto take = [](mutex& lock, std::vector<int>& seen, int who) -> task<void> {
    const std::unique_lock held = co_await lock.async_lock();
    seen.push_back(who);
  };
  mutex m;
  std::vector<int> order;
  {
    std::unique_lock mine{m};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&m, &order, i] {
        const std::lock_guard held{m};
        order.push_back(i);
      });
      EXPECT_TRUE(waited_for(m, static_cast<std::size_t>(i) + 1));
    }
    mine.unlock();
  }
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3}));
  order.clear();
  manual_executor ready;
  std::unique_lock mine{m};
  std::vector<started<void>> tasks;
  for (int i = 0; i < 4; ++i) tasks.emplace_back(ready, take(m, order, i));
  ready.run_all();
  ASSERT_TRUE(waited_for(m, 4));
  mine.unlock();
  ready.run_all();
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3}));
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

TEST(mutex, a_waiter_gets_its_turn_beside_one_that_never_rests) {
  mutex m;
  std::atomic<bool> served{false};
  std::jthread greedy{[&] {
    while (!served) {
      const std::lock_guard held{m};
    }
  }};
  for (int i = 0; i < 200; ++i) {
    const std::lock_guard held{m};
  }
  served = true;
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

TEST(mutex, timeouts_that_race_with_unlock_strand_nobody) {
  constexpr int rounds = 1'500;
  mutex m;
  std::atomic<int> timeouts{0};
  int count = 0;
  std::vector<std::jthread> running;
  loop_thread loop;
  const auto impatient = [](mutex& lock, int& counted, int times, std::atomic<int>& late) -> task<void> {
    for (int i = 0; i < times; ++i) {
      const auto held = co_await lock.async_lock_until(deadline::after(std::chrono::microseconds(i % 60)));
      held ? ++counted : ++late;
    }
  };
  started tasks{loop.where(), impatient(m, count, rounds, timeouts)};
  for (int t = 0; t < 2; ++t) {
    running.emplace_back([&] {
      for (int i = 0; i < rounds; ++i) {
        if (const auto held = m.lock_until(deadline::after(std::chrono::microseconds(i % 60)))) {
          ++count;
        } else {
          ++timeouts;
        }
      }
    });
  }
  for (int t = 0; t < 2; ++t) {  // these wait for ever: a lost wake-up would show
    running.emplace_back([&] {
      for (int i = 0; i < rounds; ++i) {
        const std::lock_guard held{m};
        ++count;
        for (int spin = 0; spin < 50; ++spin) (void)m.holder();
      }
    });
  }
  running.clear();
  EXPECT_TRUE(tasks.ends());
  EXPECT_EQ(count + timeouts, 5 * rounds);
  expect_free(m);
}

TEST(mutex, stops_that_race_with_unlock_strand_nobody) {
  constexpr int rounds = 400;
  loop_thread loop;
  for (int i = 0; i < rounds; ++i) {
    mutex m;
    std::unique_lock mine{m};
    started task{loop.where(), lock_once(m)};
    std::stop_source stop;
    std::jthread thread{[&] { (void)m.lock_until(deadline::never(), stop.get_token()); }};
    std::jthread last{[&] { const std::lock_guard held{m}; }};
    if (i % 2 == 0) ASSERT_TRUE(waited_for(m, 3));
    std::jthread stopper{[&] {
      stop.request_stop();
      task.stop();
    }};
    mine.unlock();
    last.join();
    thread.join();
    ASSERT_TRUE(task.ends());
    stopper.join();
    expect_free(m);
  }
}

// A count of users that is dropped under the lock: the last one destroys the object that holds the lock.
struct shared_object {
  mutex m;
  int users = 4;
};

TEST(mutex, may_be_destroyed_right_after_the_last_unlock) {
  constexpr int rounds = 1'000;
  constexpr unsigned char rubble = 0xee;
  loop_thread loop;
  const auto drop = [](shared_object& object) {
    object.m.lock();
    const bool last = --object.users == 0;
    object.m.unlock();
    if (last) {
      object.~shared_object();
      std::memset(static_cast<void*>(&object), rubble, sizeof object);
    }
  };
  const auto drop_as_task = [](shared_object& object) -> task<void> {
    std::unique_lock held = co_await object.m.async_lock();
    const bool last = --object.users == 0;
    held.unlock();
    if (last) {
      object.~shared_object();
      std::memset(static_cast<void*>(&object), rubble, sizeof object);
    }
  };
  for (int i = 0; i < rounds; ++i) {
    const auto memory = std::make_unique<unsigned char[]>(sizeof(shared_object));
    auto* object = new (memory.get()) shared_object;
    started<void> task{loop.where(), drop_as_task(*object)};
    {
      const std::jthread one{[&] { drop(*object); }};
      const std::jthread other{[&] { drop(*object); }};
      drop(*object);
    }
    ASSERT_TRUE(task.ends());
    for (std::size_t byte = 0; byte < sizeof(shared_object); ++byte) ASSERT_EQ(memory[byte], rubble);
  }
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

TEST(mutex, two_are_locked_together_in_any_order) {
  mutex a;
  mutex b;
  int count = 0;
  {
    const std::jthread one{[&] {
      for (int i = 0; i < 2'000; ++i) {
        const std::scoped_lock held{a, b};
        ++count;
      }
    }};
    const std::jthread other{[&] {
      for (int i = 0; i < 2'000; ++i) {
        const std::scoped_lock held{b, a};
        ++count;
      }
    }};
  }
  EXPECT_EQ(count, 4'000);
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

}  // namespace
}  // namespace heddle
