#include <heddle/park/snapshot.hpp>

#include <gtest/gtest.h>
#include <unistd.h>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/semaphore.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using park::snapshot;
using park::wait_info;
using test::loop_thread;
using test::manual_executor;
using test::started;
using test::waited_for;

task<void> lock_once(mutex& m) { const auto held = co_await m.async_lock(); }

TEST(snapshot, shows_who_waits_for_what_held_by_whom_since_when_and_from_where) {
  mutex m{"the table"};
  std::unique_lock mine{m};
  manual_executor ready;
  const auto before = std::chrono::steady_clock::now();
  started waiter{ready, lock_once(m), "the guest"};
  ready.run_all();
  ASSERT_TRUE(waited_for(m));
  const wait_info wait = test::waits_for(&m).front();
  EXPECT_NE(wait.agent, 0U);
  EXPECT_EQ(wait.kind, agent::kind::task);
  EXPECT_EQ(wait.name, "the guest");
  EXPECT_EQ(wait.thread, 0U);
  EXPECT_EQ(wait.waits_for, resource_kind::mutex);
  EXPECT_EQ(wait.resource, &m);
  EXPECT_EQ(wait.resource_name, "the table");
  EXPECT_EQ(wait.holder, current_agent().id());
  EXPECT_GE(wait.since, before);
  EXPECT_LE(wait.since, std::chrono::steady_clock::now());
  EXPECT_EQ(wait.until, std::nullopt);
  EXPECT_EQ(wait.site.find("heddle/park/snapshot.test.cpp:"), 0U);
  mine.unlock();
  ready.run_all();
  EXPECT_TRUE(waiter.has_ended());
}

TEST(snapshot, shows_the_thread_that_is_blocked_and_its_deadline) {
  semaphore none{0};
  const deadline until = deadline::after(1h);
  std::stop_source stop;
  std::atomic<std::uint32_t> thread_id{0};
  std::jthread waiter{[&] {
    thread_id = static_cast<std::uint32_t>(gettid());
    (void)none.acquire_until(until, stop.get_token());
  }};
  ASSERT_TRUE(waited_for(none));
  const wait_info wait = test::waits_for(&none).front();
  EXPECT_EQ(wait.kind, agent::kind::thread);
  EXPECT_EQ(wait.thread, thread_id);
  EXPECT_EQ(wait.until, until.time());
  stop.request_stop();
}

TEST(snapshot, keeps_the_age_of_a_wait_over_its_attempts) {
  mutex m;
  std::unique_lock mine{m};
  manual_executor ready;
  started waiter{ready, lock_once(m)};
  ready.run_all();
  ASSERT_TRUE(waited_for(m));
  const auto since = test::waits_for(&m).front().since;
  mine.unlock();
  if (mine.try_lock()) {  // unless it has waited for too long already
    ready.run_all();
    ASSERT_TRUE(waited_for(m));
    EXPECT_EQ(test::waits_for(&m).front().since, since);
    mine.unlock();
  }
  ready.run_all();
  EXPECT_TRUE(waiter.has_ended());
}

TEST(snapshot, does_not_show_what_is_over) {
  mutex m;
  {
    std::unique_lock mine{m};
    std::jthread{[&] { EXPECT_FALSE(m.try_lock_for(1ms)); }}.join();
  }
  const std::vector<wait_info> waits = snapshot::take().waits;
  EXPECT_TRUE(std::ranges::none_of(waits, [&](const wait_info& wait) { return wait.resource == &m; }));
}

TEST(snapshot, counts_the_agents) {
  (void)current_agent().id();
  const std::size_t before = snapshot::take().agents;
  EXPECT_GE(before, 1U);
  std::atomic<bool> there{false};
  std::atomic<bool> enough{false};
  std::jthread other{[&] {
    (void)current_agent().id();
    there = true;
    while (!enough) std::this_thread::yield();
  }};
  ASSERT_TRUE(test::eventually([&] { return there.load(); }));
  EXPECT_EQ(snapshot::take().agents, before + 1);
  enough = true;
}

TEST(snapshot, may_be_taken_while_waits_come_and_go) {
  mutex m{"busy"};
  std::atomic<bool> enough{false};
  loop_thread loop;
  const auto come_and_go = [](mutex& lock, const std::atomic<bool>& end) -> task<void> {
    while (!end) (void)co_await lock.async_lock_until(deadline::after(100us));
  };
  started task{loop.where(), come_and_go(m, enough)};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        while (!enough) {
          if (m.try_lock_for(100us)) m.unlock();
        }
      });
    }
    for (int i = 0; i < 3'000; ++i) {
      for (const wait_info& wait : snapshot::take().waits) {
        if (wait.resource != &m) continue;
        EXPECT_EQ(wait.resource_name, "busy");
        EXPECT_EQ(wait.waits_for, resource_kind::mutex);
        EXPECT_TRUE(wait.until.has_value());
      }
    }
    enough = true;
  }
  EXPECT_TRUE(task.ends());
}

TEST(snapshot, a_hundred_waiting_tasks_are_all_shown) {
  semaphore none{0};
  manual_executor ready;
  std::vector<started<void>> tasks;
  const auto take = [](semaphore& s) -> task<void> { (void)co_await s.async_acquire(); };
  for (int i = 0; i < 100; ++i) tasks.emplace_back(ready, take(none));
  ready.run_all();
  EXPECT_EQ(test::waits_for(&none).size(), 100U);
  none.release(100);
  ready.run_all();
  for (const auto& each : tasks) EXPECT_TRUE(each.has_ended());
  EXPECT_TRUE(test::waits_for(&none).empty());
}

}  // namespace
}  // namespace heddle
