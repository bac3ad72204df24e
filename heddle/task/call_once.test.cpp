#include <heddle/task/call_once.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/event.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <stdexcept>
#include <thread>

namespace heddle {
namespace {

using test::loop_thread;
using test::started;
using test::waited_for;

TEST(call_once, one_task_runs_it_and_the_others_wait) {
  for (int round = 0; round < 100; ++round) {
    once o;
    int runs = 0;
    const auto run = [&runs]() -> task<void> {
      co_await this_task::yield();
      ++runs;
    };
    loop_thread one;
    loop_thread other;
    const started<void> first{one.where(), call_once(o, run)};
    const started<void> second{one.where(), call_once(o, run)};
    const started<void> third{other.where(), call_once(o, run)};
    o.call([&runs] { ++runs; });
    EXPECT_EQ(runs, 1);
    ASSERT_TRUE(first.ends());
    ASSERT_TRUE(second.ends());
    ASSERT_TRUE(third.ends());
    EXPECT_EQ(runs, 1);
    sync_wait(call_once(o, run));
    EXPECT_EQ(runs, 1);
  }
}

TEST(call_once, an_exception_lets_the_next_task_try) {
  once o;
  int runs = 0;
  const auto fail_first = [&runs]() -> task<void> {
    co_await this_task::yield();
    if (++runs == 1) throw std::runtime_error{"the first time"};
  };
  EXPECT_THROW(sync_wait(call_once(o, fail_first)), std::runtime_error);
  EXPECT_FALSE(o.is_done());
  sync_wait(call_once(o, fail_first));
  EXPECT_TRUE(o.is_done());
  EXPECT_EQ(runs, 2);
}

TEST(call_once, a_task_stopped_within_lets_the_next_one_try) {
  once o;
  loop_thread loop;
  started<void> at_it{loop.where(), call_once(o, []() -> task<void> {
                        event never;
                        co_await never.async_wait();
                      })};
  ASSERT_TRUE(test::eventually([&] { return o.holder() != 0; }));
  int runs = 0;
  {
    const std::jthread next{[&] { o.call([&] { ++runs; }); }};
    ASSERT_TRUE(waited_for(o));
    at_it.stop();
  }
  ASSERT_TRUE(at_it.ends());
  EXPECT_TRUE(at_it.was_stopped());
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace heddle
