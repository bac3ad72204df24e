#include <heddle/task/shield.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/with_timeout.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <chrono>

namespace heddle {
namespace {

using test::manual_executor;
using test::started;
using test::waited_for;

task<int> give_back(semaphore& s, bool& done) {
  const semaphore_permit permit = co_await s.async_acquire();
  done = true;
  co_return 4;
}

TEST(shield, a_stop_does_not_reach_what_is_within) {
  manual_executor ready;
  semaphore s{0};
  bool done = false;
  const auto body = [](semaphore& of, bool& d) -> task<int> { co_return co_await shield(give_back(of, d)); };
  started whole{ready, body(s, done)};
  ready.run_all();
  whole.stop();
  ready.run_all();
  EXPECT_FALSE(whole.has_ended());
  s.release();
  ready.run_all();
  ASSERT_TRUE(whole.has_ended());
  EXPECT_TRUE(done);
  EXPECT_EQ(whole.value(), 4) << "the value is not lost";
}

TEST(shield, a_stop_ends_the_task_at_its_next_wait) {
  manual_executor ready;
  semaphore s{0};
  semaphore never{0};
  bool done = false;
  const auto body = [](semaphore& of, bool& d, semaphore& nothing) -> task<void> {
    (void)co_await shield(give_back(of, d));
    (void)co_await nothing.async_acquire();
  };
  started whole{ready, body(s, done, never)};
  ready.run_all();
  ASSERT_TRUE(waited_for(s));
  whole.stop();
  s.release();
  ready.run_all();
  ASSERT_TRUE(whole.has_ended());
  EXPECT_TRUE(done);
  EXPECT_TRUE(whole.was_stopped());
}

TEST(shield, can_be_bounded) {
  using namespace std::chrono_literals;
  std::stop_source stop;
  stop.request_stop();
  semaphore never{0};
  bool done = false;
  const auto body = [](semaphore& of, bool& d) -> task<bool> {
    const auto result = co_await shield(with_timeout(give_back(of, d), deadline::after(1ms)));
    co_return !result && result.error() == wait_error::timeout;
  };
  EXPECT_TRUE(sync_wait(body(never, done), {stop.get_token()}));
}

TEST(shield, what_ends_itself_as_stopped_within_unwinds) {
  const auto stops = []() -> task<void> { co_await this_task::end_as_stopped(); };
  EXPECT_TRUE(sync_wait_outcome(shield(stops())).is_stopped());
}

}  // namespace
}  // namespace heddle
