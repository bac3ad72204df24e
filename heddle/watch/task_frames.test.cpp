// A suspended task shows how it came to where it waits.

#include <heddle/sync/mutex.hpp>
#include <heddle/task/task.hpp>
#include <heddle/watch/waits.hpp>
#include <tests/support/no_deadlocks.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <gtest/gtest.h>

#include <stop_token>
#include <string>
#include <utility>

namespace heddle {
namespace {

task<void> book(mutex& wanted, std::stop_token stop) {
  (void)co_await wanted.async_lock_until(deadline::never(), std::move(stop));
}

task<void> transfer(mutex& from, mutex& to, std::stop_token stop) {
  const auto held = co_await from.async_lock();
  co_await this_task::yield();
  co_await book(to, std::move(stop));
}

TEST(watch, a_deadlock_of_tasks_shows_their_frames) {
  const test::makes_deadlocks deliberate;
  mutex left{"left"};
  mutex right{"right"};
  std::stop_source break_it;
  test::manual_executor ready;
  test::started one{ready, transfer(left, right, break_it.get_token()), "one"};
  test::started other{ready, transfer(right, left, break_it.get_token()), "other"};
  ready.run_all();
  ASSERT_TRUE(test::waited_for(left) && test::waited_for(right));

  const watch::wait_report report = watch::waits();
  ASSERT_EQ(report.deadlocks.size(), 1U);
  for (const watch::edge& each : report.deadlocks.front().edges) {
    ASSERT_EQ(each.stack.size(), 2U);
    EXPECT_TRUE(each.stack[0].ends_with(" (book)")) << each.stack[0];
    EXPECT_TRUE(each.stack[1].ends_with(" (transfer)")) << each.stack[1];
    EXPECT_NE(each.stack[0].find("task_frames.test.cpp:"), std::string::npos) << each.stack[0];
  }
  EXPECT_NE(report.deadlocks.front().text().find("(transfer)\n"), std::string::npos);
  const std::string list = report.text();
  EXPECT_NE(list.find("task_frames.test.cpp:"), std::string::npos) << list;
  EXPECT_NE(list.find("      heddle/watch/task_frames.test.cpp:"), std::string::npos) << list;

  break_it.request_stop();
  ready.run_all();
  EXPECT_TRUE(one.has_ended() && other.has_ended());
}

}  // namespace
}  // namespace heddle
