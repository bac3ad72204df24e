#include <heddle/task/with_timeout.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <chrono>
#include <stdexcept>

namespace heddle {
namespace {

using namespace std::chrono_literals;

task<int> after_permit(semaphore& s, bool& frame_lives) {
  struct alive {
    bool& flag;
    explicit alive(bool& f) : flag{f} { flag = true; }
    ~alive() { flag = false; }
  };
  const alive self{frame_lives};
  const semaphore_permit permit = co_await s.async_acquire();
  co_return 9;
}

TEST(with_timeout, a_late_task_is_stopped_and_awaited) {
  semaphore never{0};
  bool lives = false;
  const deadline until = deadline::after(3ms);
  const auto late = [](semaphore& s, bool& frame_lives, deadline when) -> task<bool> {
    const auto result = co_await with_timeout(after_permit(s, frame_lives), when);
    co_return !frame_lives && result == std::unexpected{wait_error::timeout};
  };
  EXPECT_TRUE(sync_wait(late(never, lives, until)));
  EXPECT_TRUE(until.has_passed());
  EXPECT_TRUE(test::waits_for(&never).empty());
  EXPECT_TRUE(sync_wait(late(never, lives, deadline::after(-1s))));
}

TEST(with_timeout, a_task_in_time_gives_its_value) {
  semaphore one{1};
  bool lives = false;
  EXPECT_EQ(sync_wait(with_timeout(after_permit(one, lives), deadline::after(1h))), 9);
  EXPECT_EQ(sync_wait(with_timeout(after_permit(one, lives), {})), 9);
  EXPECT_EQ(sync_wait(with_timeout(after_permit(one, lives), deadline::after(-1s))), 9) << "it did not have to wait";
  const auto nothing = []() -> task<void> { co_return; };
  EXPECT_TRUE(sync_wait(with_timeout(nothing(), deadline::after(1h))).has_value());
}

TEST(with_timeout, an_outer_stop_is_not_a_timeout) {
  test::manual_executor ready;
  semaphore never{0};
  bool lives = false;
  test::started whole{ready, with_timeout(after_permit(never, lives), deadline::after(1h))};
  ready.run_all();
  ASSERT_TRUE(test::waited_for(never));
  whole.stop();
  ready.run_all();
  ASSERT_TRUE(whole.has_ended());
  EXPECT_TRUE(whole.was_stopped());
}

TEST(with_timeout, an_exception_passes_through) {
  const auto fail = []() -> task<int> {
    co_await this_task::yield();
    throw std::underflow_error{"own"};
  };
  EXPECT_THROW((void)sync_wait(with_timeout(fail(), deadline::after(1h))), std::underflow_error);
}

TEST(with_timeout, the_inner_of_two_deadlines_is_told_from_the_outer) {
  const auto nested = [](semaphore& s, bool& lives, deadline inner, deadline outer) -> task<std::string> {
    const auto body = [](semaphore& never, bool& frame, deadline when) -> task<std::string> {
      const auto result = co_await with_timeout(after_permit(never, frame), when);
      co_return result ? "in time" : "inner";
    };
    const auto result = co_await with_timeout(body(s, lives, inner), outer);
    co_return result ? *result : "outer";
  };
  semaphore never{0};
  bool lives = false;
  EXPECT_EQ(sync_wait(nested(never, lives, deadline::after(2ms), deadline::after(1h))), "inner");
  EXPECT_EQ(sync_wait(nested(never, lives, deadline::after(1h), deadline::after(2ms))), "outer");
}

// The deadline of a context is what callers want; nobody stops the task for it. So one's own deadline counts, too.
TEST(with_timeout, a_deadline_after_that_of_the_context_is_kept) {
  semaphore never{0};
  bool lives = false;
  const task_context hurried{{}, deadline::after(1ms)};
  EXPECT_EQ(sync_wait(with_timeout(after_permit(never, lives), deadline::after(5ms)), hurried),
            std::unexpected{wait_error::timeout});
}

TEST(with_timeout, the_body_sees_the_earlier_deadline) {
  const auto look = []() -> task<deadline> { co_return (co_await this_task::context()).until; };
  const deadline early = deadline::after(1h);
  const deadline late = deadline::after(2h);
  EXPECT_EQ(sync_wait(with_timeout(look(), early), {{}, late}), early);
  EXPECT_EQ(sync_wait(with_timeout(look(), late), {{}, early}), early);
}

}  // namespace
}  // namespace heddle
