#include <heddle/task/sync_wait.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/mutex.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <stdexcept>
#include <thread>

namespace heddle {
namespace {

enum class ending : std::uint8_t { value, exception, stop };

task<int> end_with(ending how) {
  if (how == ending::exception) throw std::domain_error{"own"};
  if (how == ending::stop) co_await this_task::end_as_stopped();
  co_return 5;
}

TEST(sync_wait, tells_the_three_outcomes_apart) {
  outcome<int> value = sync_wait_outcome(end_with(ending::value));
  EXPECT_TRUE(value.has_value());
  EXPECT_FALSE(value.is_stopped());
  EXPECT_EQ(std::move(value).value(), 5);
  outcome<int> thrown = sync_wait_outcome(end_with(ending::exception));
  EXPECT_FALSE(thrown.has_value());
  EXPECT_FALSE(thrown.is_stopped());
  EXPECT_TRUE(thrown.error());
  EXPECT_THROW(std::move(thrown).value(), std::domain_error);
  const outcome<int> stopped = sync_wait_outcome(end_with(ending::stop));
  EXPECT_FALSE(stopped.has_value());
  EXPECT_TRUE(stopped.is_stopped());
  EXPECT_FALSE(stopped.error());
  EXPECT_EQ(sync_wait(end_with(ending::value)), 5);
  EXPECT_THROW(sync_wait(end_with(ending::exception)), std::domain_error);
  EXPECT_THROW(sync_wait(end_with(ending::stop)), task_stopped);
}

TEST(sync_wait, runs_on_the_calling_thread) {
  const auto where = []() -> task<std::thread::id> {
    co_await this_task::yield();
    co_return std::this_thread::get_id();
  };
  EXPECT_EQ(sync_wait(where()), std::this_thread::get_id());
}

TEST(sync_wait, may_be_nested) {
  const auto inner = []() -> task<int> {
    co_await this_task::yield();
    co_return 1;
  };
  const auto outer = [](auto body) -> task<int> {
    agent& self = current_agent();
    const int value = sync_wait(body());
    EXPECT_EQ(&current_agent(), &self);
    co_return value + 1;
  };
  EXPECT_EQ(sync_wait(outer(inner)), 2);
}

TEST(sync_wait, returns_though_the_task_ended_on_another_thread) {
  test::loop_thread other;
  const auto leave = [](executor& there) -> task<std::thread::id> {
    co_await this_task::resume_on(there);
    co_return std::this_thread::get_id();
  };
  for (int i = 0; i < 200; ++i) EXPECT_EQ(sync_wait(leave(other.where())), other.id());
}

TEST(sync_wait, a_stop_from_another_thread_ends_it) {
  mutex m;
  const std::lock_guard mine{m};
  std::stop_source stop;
  std::jthread waiter{[&] {
    const auto lock_once = [](mutex& lock) -> task<void> { const auto held = co_await lock.async_lock(); };
    EXPECT_TRUE(sync_wait_outcome(lock_once(m), {stop.get_token(), {}}).is_stopped());
  }};
  EXPECT_TRUE(test::waited_for(m));
  stop.request_stop();
}

}  // namespace
}  // namespace heddle
