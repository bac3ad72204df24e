#include <heddle/sync/latch.hpp>

#include <gtest/gtest.h>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::loop_thread;
using test::manual_executor;
using test::started;
using test::waited_for;

task<void> wait_for(latch& l) { co_await l.async_wait(); }

TEST(latch, lets_all_go_at_zero) {
  latch l{3};
  loop_thread loop;
  const started<void> in_task{loop.where(), wait_for(l)};
  {
    const std::jthread waiter{[&] { l.wait(); }};
    ASSERT_TRUE(waited_for(l, 2));
    l.count_down();
    EXPECT_EQ(l.pending(), 2U);
    EXPECT_EQ(test::waits_for(&l).size(), 2U);
    l.count_down(2);
  }
  EXPECT_TRUE(in_task.ends());
  l.wait();
  sync_wait(wait_for(l));
  latch open{0};
  open.wait();
}

TEST(latch, try_wait_does_not_wait) {
  latch l{1};
  EXPECT_FALSE(l.try_wait());
  l.count_down(0);
  EXPECT_FALSE(l.try_wait());
  l.count_down();
  EXPECT_TRUE(l.try_wait());
  l.count_down(0);
}

TEST(latch, publishes_what_was_done_before) {
  (void)current_agent().id();
  for (int i = 0; i < 200; ++i) {
    latch l{2};
    int plain[2] = {};
    const std::jthread a{[&] {
      plain[0] = 1;
      l.count_down();
    }};
    const std::jthread b{[&] {
      plain[1] = 1;
      l.count_down();
    }};
    if (i % 2 == 0) {
      l.wait();
    } else {
      while (!l.try_wait()) std::this_thread::yield();
    }
    EXPECT_EQ(plain[0] + plain[1], 2);
  }
}

TEST(latch, threads_and_tasks_meet_at_it) {
  for (int round = 0; round < 100; ++round) {
    latch l{4};
    std::atomic<int> arrived{0};
    const auto arrive = [](latch& where, std::atomic<int>& count) -> task<int> {
      ++count;
      co_await where.async_arrive_and_wait();
      co_return count.load();
    };
    loop_thread loop;
    started<int> a{loop.where(), arrive(l, arrived)};
    started<int> b{loop.where(), arrive(l, arrived)};
    int seen = 0;
    {
      const std::jthread thread{[&] {
        ++arrived;
        l.arrive_and_wait();
        seen = arrived;
      }};
      ++arrived;
      l.arrive_and_wait();
      EXPECT_EQ(arrived, 4);
    }
    EXPECT_EQ(seen, 4);
    ASSERT_TRUE(a.ends());
    ASSERT_TRUE(b.ends());
    EXPECT_EQ(a.value(), 4);
    EXPECT_EQ(b.value(), 4);
  }
}

TEST(latch, one_that_gives_up_has_still_arrived) {
  latch l{4};
  const auto late = l.arrive_and_wait_until(deadline::after(2ms));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), wait_error::timeout);
  EXPECT_EQ(l.pending(), 3U);
  std::stop_source stop;
  stop.request_stop();
  const auto stopped = l.arrive_and_wait_until({}, stop.get_token(), 2);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error(), wait_error::stopped);
  EXPECT_EQ(l.pending(), 1U);
  EXPECT_TRUE(l.arrive_and_wait_until(deadline::at_ns(1)));  // the last one
}

TEST(latch, a_task_that_gives_up_has_still_arrived) {
  latch l{4};
  const auto arrive_until = [](latch& where, deadline until) -> task<std::expected<void, wait_error>> {
    co_return co_await where.async_arrive_and_wait_until(until);
  };
  const auto late = sync_wait(arrive_until(l, deadline::after(2ms)));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), wait_error::timeout);
  EXPECT_EQ(l.pending(), 3U);
  const auto arrive = [](latch& where) -> task<void> { co_await where.async_arrive_and_wait(); };
  loop_thread loop;
  started<void> stopped{loop.where(), arrive(l)};
  ASSERT_TRUE(waited_for(l));
  stopped.stop();
  ASSERT_TRUE(stopped.ends());
  EXPECT_TRUE(stopped.was_stopped());
  EXPECT_EQ(l.pending(), 2U);
  manual_executor executor;
  started<void> stopped_before{executor, arrive(l)};
  stopped_before.stop();
  executor.run_all();
  ASSERT_TRUE(stopped_before.ends());
  EXPECT_TRUE(stopped_before.was_stopped());
  EXPECT_EQ(l.pending(), 1U);
  EXPECT_TRUE(sync_wait(arrive_until(l, deadline::at_ns(1))));
}

TEST(latch, a_deadline_and_a_stop_end_a_wait) {
  latch l{1};
  const auto late = l.wait_until(deadline::after(2ms));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), wait_error::timeout);
  std::stop_source stop;
  std::expected<void, wait_error> stopped;
  {
    const std::jthread waiter{[&] { stopped = l.wait_until({}, stop.get_token()); }};
    ASSERT_TRUE(waited_for(l));
    stop.request_stop();
  }
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error(), wait_error::stopped);
  const auto in_task = [](latch& which, deadline until, std::stop_token token) -> task<wait_error> {
    const auto had = co_await which.async_wait_until(until, std::move(token));
    co_return had ? wait_error::closed : had.error();
  };
  EXPECT_EQ(sync_wait(in_task(l, deadline::after(2ms), {})), wait_error::timeout);
  EXPECT_EQ(sync_wait(in_task(l, {}, stop.get_token())), wait_error::stopped);
  EXPECT_TRUE(test::waits_for(&l).empty());
  l.count_down();
  EXPECT_TRUE(l.wait_until(deadline::at_ns(1), stop.get_token()));
}

TEST(latch, may_be_destroyed_by_whom_the_last_one_let_go) {
  std::atomic<latch*> offered{nullptr};
  const std::jthread counter{[&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      if (latch* given = offered.exchange(nullptr); given != nullptr) given->count_down();
      std::this_thread::yield();
    }
  }};
  for (int i = 0; i < 600; ++i) {
    auto l = std::make_unique<latch>(1U, "short-lived");
    offered = l.get();
    if (i % 3 == 0) {
      while (!l->try_wait()) std::this_thread::yield();
    } else {
      l->wait();
    }
  }
}

TEST(latch, its_waits_are_in_the_picture) {
  constinit static latch unnamed{1};
  const std::jthread waiter{[] { unnamed.wait(); }};
  ASSERT_TRUE(waited_for(unnamed));
  const park::wait_info wait = test::waits_for(&unnamed).front();
  EXPECT_NE(wait.resource_name.find("latch.test.cpp:"), std::string::npos);
  EXPECT_EQ(wait.waits_for, resource_kind::latch);
  unnamed.count_down();
}

// --- fork ---

[[noreturn]] void fork_while_another_waits() {
  static latch l{2};
  std::thread{[] { l.wait(); }}.detach();
  if (!waited_for(l)) std::_Exit(3);
  l.count_down();
  const pid_t pid = fork();
  if (pid != 0) {
    int status = 0;
    waitpid(pid, &status, 0);
    std::_Exit(WIFEXITED(status) && l.pending() == 1 ? WEXITSTATUS(status) : 2);
  }
  if (l.pending() != 1) std::_Exit(4);
  l.arrive_and_wait();
  std::_Exit(0);
}

using latch_fork = test::misuse;

TEST_F(latch_fork, the_child_counts_for_itself) {
  EXPECT_EXIT(fork_while_another_waits(), testing::ExitedWithCode(0), "");
}

// --- misuse ---

using latch_misuse = test::misuse;

TEST_F(latch_misuse, counting_below_zero_is_fatal) {
  EXPECT_DEATH(
      {
        latch l{1};
        l.count_down(2);
      },
      "a latch was counted down below zero");
  EXPECT_DEATH(
      {
        latch l{1};
        l.count_down();
        l.count_down();
      },
      "a latch was counted down below zero");
}

TEST_F(latch_misuse, too_large_a_count_is_fatal) {
  EXPECT_DEATH({ latch l(latch::max() + 1); }, "a latch counts from at most 2147483647");
}

void destroy_while_a_thread_waits() {
  auto* l = new latch{1};
  std::thread waiter{[=] { l->wait(); }};
  (void)waited_for(*l);
  delete l;
  waiter.join();
}

TEST_F(latch_misuse, destroying_what_is_waited_for_is_fatal) {
  EXPECT_DEATH(destroy_while_a_thread_waits(), "a latch was destroyed while it is waited for");
}

TEST_F(latch_misuse, a_wait_that_lasts_until_exit_is_no_misuse) {
  EXPECT_EXIT(
      {
        static latch l{1};
        std::thread{[] { l.wait(); }}.detach();
        (void)waited_for(l);
        std::exit(0);
      },
      testing::ExitedWithCode(0), "^$");
}

}  // namespace
}  // namespace heddle
