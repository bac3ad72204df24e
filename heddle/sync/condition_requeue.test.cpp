// What becomes of those who are notified: they are moved to their mutex's queue.

#include <heddle/sync/condition_variable.hpp>

#include <gtest/gtest.h>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
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

using outcome_of_wait = std::expected<void, wait_error>;

task<outcome_of_wait> wait_once(condition_variable& c, mutex& m, deadline until = {}, std::stop_token stop = {}) {
  std::unique_lock lock = co_await m.async_lock();
  co_return co_await c.async_wait(lock, until, std::move(stop));
}

/// How often a thread has gone to sleep.
long sleeps_of(std::uint32_t thread) {
  std::ifstream status{"/proc/self/task/" + std::to_string(thread) + "/status"};
  for (std::string word; status >> word;) {
    if (word != "voluntary_ctxt_switches:") continue;
    long count = -1;
    status >> count;
    return count;
  }
  return -1;
}

TEST(condition_requeue, a_notified_waiter_is_shown_as_waiting_for_the_mutex) {
  mutex m{"the mutex"};
  condition_variable c;
  manual_executor ready;
  std::jthread thread{[&] {
    std::unique_lock lock{m};
    EXPECT_TRUE(c.wait_until(lock, deadline::after(1h)));
  }};
  ASSERT_TRUE(waited_for(c, 1));
  started task{ready, wait_once(c, m, deadline::after(1h))};
  ready.run_all();
  ASSERT_TRUE(waited_for(c, 2));
  std::unique_lock mine{m};
  const auto notified_at = std::chrono::steady_clock::now();
  c.notify_all();
  EXPECT_TRUE(test::waits_for(&c).empty());
  const std::vector<park::wait_info> waits = test::waits_for(&m);
  ASSERT_EQ(waits.size(), 2U);
  for (const park::wait_info& each : waits) {
    EXPECT_EQ(each.waits_for, resource_kind::mutex);
    EXPECT_EQ(each.resource_name, "the mutex");
    EXPECT_EQ(each.holder, m.holder());
    EXPECT_FALSE(each.until) << "the deadline was for the notification";
    EXPECT_GE(each.since, notified_at);
    EXPECT_NE(each.site.find("condition_requeue.test.cpp"), std::string::npos);
  }
  EXPECT_EQ(ready.pending(), 0U);
  mine.unlock();
  thread.join();
  ready.run_all();
  EXPECT_TRUE(task.value());
}

TEST(condition_requeue, a_notified_thread_sleeps_on_while_the_mutex_is_held) {
  mutex m;
  condition_variable c;
  std::jthread thread{[&] {
    std::unique_lock lock{m};
    c.wait(lock);
  }};
  ASSERT_TRUE(waited_for(c));
  const std::uint32_t id = test::waits_for(&c).front().thread;
  std::unique_lock mine{m};
  ASSERT_TRUE(test::passed(deadline::after(30ms)));  // it gets up once after 5 ms, to note down its stack
  const long before = sleeps_of(id);
  c.notify_one();
  ASSERT_EQ(test::waits_for(&m).size(), 1U);
  ASSERT_TRUE(test::passed(deadline::after(3ms)));
  EXPECT_EQ(sleeps_of(id), before);
}

/// The waiters run only when they are told to: how many have been posted can be counted.
void are_woken_one_at_a_time(bool under_the_mutex) {
  constexpr int count = 100;
  mutex m;
  condition_variable c;
  manual_executor ready;
  std::vector<started<outcome_of_wait>> tasks;
  for (int i = 0; i < count; ++i) tasks.emplace_back(ready, wait_once(c, m));
  ready.run_all();
  ASSERT_TRUE(waited_for(c, count));
  std::unique_lock mine{m, std::defer_lock};
  if (under_the_mutex) mine.lock();
  c.notify_all();
  EXPECT_TRUE(test::waits_for(&c).empty());
  if (under_the_mutex) {
    EXPECT_EQ(ready.pending(), 0U);
    mine.unlock();
  }
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_EQ(ready.pending(), 1U) << i;
    ASSERT_TRUE(ready.run_one());
    EXPECT_TRUE(tasks[i].has_ended()) << "out of turn: " << i;
  }
  EXPECT_EQ(ready.pending(), 0U);
}

/// Whoever comes back finds all others asleep in the mutex's queue.
void threads_are_woken_one_at_a_time(bool under_the_mutex) {
  constexpr int count = 30;
  mutex m;
  condition_variable c;
  std::size_t left = count;
  std::vector<std::jthread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      std::unique_lock lock{m};
      c.wait(lock);
      EXPECT_EQ(test::waits_for(&m).size(), --left);
    });
  }
  ASSERT_TRUE(waited_for(c, count));
  std::unique_lock mine{m, std::defer_lock};
  if (under_the_mutex) mine.lock();
  c.notify_all();
}

TEST(condition_requeue, many_notified_under_the_mutex_are_woken_one_at_a_time) {
  are_woken_one_at_a_time(true);
  threads_are_woken_one_at_a_time(true);
}

TEST(condition_requeue, many_notified_without_the_mutex_are_woken_one_at_a_time) { are_woken_one_at_a_time(false); }

// A thread that comes back while the others are still being moved sees fewer, but never one that is awake.
TEST(condition_requeue, threads_notified_without_the_mutex_all_come_back) {
  constexpr int count = 30;
  mutex m;
  condition_variable c;
  for (int round = 0; round < 20; ++round) {
    int back = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i) {
      threads.emplace_back([&] {
        std::unique_lock lock{m};
        c.wait(lock);
        ++back;
      });
    }
    ASSERT_TRUE(waited_for(c, count));
    c.notify_all();
    threads.clear();
    EXPECT_EQ(back, count);
  }
}

TEST(condition_requeue, those_notified_queue_up_in_their_order) {
  mutex m;
  condition_variable c;
  manual_executor ready;
  std::vector<int> order;
  const auto note = [](condition_variable& changed, mutex& lock_of, std::vector<int>& into, int who) -> task<void> {
    std::unique_lock lock = co_await lock_of.async_lock();
    (void)co_await changed.async_wait(lock);
    into.push_back(who);
  };
  const auto lock_only = [](mutex& lock_of, std::vector<int>& into, int who) -> task<void> {
    const std::unique_lock lock = co_await lock_of.async_lock();
    into.push_back(who);
  };
  std::vector<started<void>> tasks;
  for (int i = 0; i < 3; ++i) {
    tasks.emplace_back(ready, note(c, m, order, i));
    ready.run_all();
  }
  std::unique_lock mine{m};
  tasks.emplace_back(ready, lock_only(m, order, 10));
  ready.run_all();
  c.notify_one();
  tasks.emplace_back(ready, lock_only(m, order, 11));
  ready.run_all();
  c.notify_all();
  ASSERT_TRUE(waited_for(m, 5));
  mine.unlock();
  ready.run_all();
  EXPECT_EQ(order, (std::vector<int>{10, 0, 11, 1, 2}));
}

TEST(condition_requeue, a_deadline_does_not_count_once_notified) {
  mutex m;
  condition_variable c;
  manual_executor ready;
  const deadline until = deadline::after(1s);
  std::atomic<bool> back{false};
  std::jthread thread{[&] {
    std::unique_lock lock{m};
    EXPECT_TRUE(c.wait_until(lock, until)) << "it was notified in time";
    back = true;
  }};
  ASSERT_TRUE(waited_for(c, 1)) << "the machine was too slow for this test";
  started task{ready, wait_once(c, m, until)};
  ready.run_all();
  ASSERT_TRUE(waited_for(c, 2)) << "the machine was too slow for this test";
  std::unique_lock mine{m};
  c.notify_all();
  ASSERT_EQ(test::waits_for(&m).size(), 2U) << "the machine was too slow for this test";
  ASSERT_TRUE(test::passed(until));
  EXPECT_FALSE(back);
  EXPECT_EQ(test::waits_for(&m).size(), 2U);
  mine.unlock();
  thread.join();
  ready.run_all();
  EXPECT_TRUE(task.value());
}

TEST(condition_requeue, a_stop_does_not_count_once_notified) {
  mutex m;
  condition_variable c;
  manual_executor ready;
  std::stop_source stop;
  std::jthread thread{[&] {
    std::unique_lock lock{m};
    EXPECT_TRUE(c.wait_until(lock, deadline::never(), stop.get_token()));
  }};
  ASSERT_TRUE(waited_for(c, 1));
  started by_token{ready, wait_once(c, m, {}, stop.get_token())};
  started by_context{ready, wait_once(c, m)};
  ready.run_all();
  ASSERT_TRUE(waited_for(c, 3));
  std::unique_lock mine{m};
  c.notify_all();
  stop.request_stop();
  by_context.stop();
  EXPECT_EQ(ready.pending(), 0U);
  EXPECT_EQ(test::waits_for(&m).size(), 3U);
  mine.unlock();
  thread.join();
  ready.run_all();
  EXPECT_TRUE(by_token.value());
  ASSERT_FALSE(by_context.was_stopped()) << "not before its next wait";
  EXPECT_TRUE(by_context.value());
}

TEST(condition_requeue, each_waiter_goes_to_its_own_mutex) {
  mutex one;
  mutex other;
  condition_variable c;
  manual_executor ready;
  std::vector<started<outcome_of_wait>> tasks;
  for (int i = 0; i < 5; ++i) tasks.emplace_back(ready, wait_once(c, i % 3 == 0 ? one : other));
  ready.run_all();
  ASSERT_TRUE(waited_for(c, 5));
  {
    const std::scoped_lock mine{one, other};
    c.notify_all();
    EXPECT_EQ(test::waits_for(&one).size(), 2U);
    EXPECT_EQ(test::waits_for(&other).size(), 3U);
  }
  ready.run_all();
  for (const auto& each : tasks) EXPECT_TRUE(each.has_ended());
}

// Under the address sanitizer: whoever notifies touches neither the condition nor the mutex once the waiter may go on.
TEST(condition_requeue, both_may_be_destroyed_by_the_one_who_was_notified) {
  struct both {
    mutex m;
    condition_variable c;
    bool waits = false;
  };
  constexpr int rounds = 3'000;
  std::atomic<both*> shared{nullptr};
  std::jthread waiter{[&] {
    for (int i = 0; i < rounds; ++i) {
      auto mine = std::make_unique<both>();
      std::unique_lock lock{mine->m};
      mine->waits = true;
      shared.store(mine.get());
      mine->c.wait(lock);
      lock.unlock();
    }
  }};
  for (int i = 0; i < rounds; ++i) {
    both* now = nullptr;
    while ((now = shared.exchange(nullptr)) == nullptr) std::this_thread::yield();
    std::unique_lock lock{now->m};
    EXPECT_TRUE(now->waits);
    if (i % 2 == 0) lock.unlock();
    if (i % 3 == 0) {
      now->c.notify_all();
    } else {
      now->c.notify_one();
    }
  }
}

TEST(condition_requeue, locking_beside_notifications_strands_nobody) {
  constexpr int rounds = 4'000;
  mutex m;
  condition_variable c;
  loop_thread loop;
  std::optional<loop_thread> second{std::in_place};
  std::atomic<bool> over{false};
  const auto wait_often = [](mutex& lock_of, condition_variable& changed, std::atomic<bool>& end) -> task<void> {
    while (!end) {
      std::unique_lock lock = co_await lock_of.async_lock();
      if (!end) (void)co_await changed.async_wait(lock);
    }
  };
  std::vector<started<void>> tasks;
  for (int i = 0; i < 3; ++i) tasks.emplace_back(i == 0 ? second->where() : loop.where(), wait_often(m, c, over));
  std::vector<std::jthread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      std::unique_lock lock{m};
      while (!over) c.wait(lock);
    });
  }
  for (int i = 0; i < rounds; ++i) {
    std::unique_lock lock{m};
    if (i % 2 == 0) lock.unlock();
    if (i % 5 == 0) {
      c.notify_all();
    } else {
      c.notify_one();
    }
  }
  {
    const std::lock_guard lock{m};
    over = true;
    c.notify_all();
  }
  threads.clear();
  for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  EXPECT_EQ(m.holder(), 0U);
}

}  // namespace
}  // namespace heddle
