#include <heddle/task/future.hpp>

#include <gtest/gtest.h>
#include <heddle/park/snapshot.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>

#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace heddle;
using namespace std::chrono_literals;
using future_misuse = test::misuse;

/// How many waits for futures have come to rest.
std::size_t waits_for_futures() {
  std::size_t count = 0;
  for (const park::wait_info& wait : park::snapshot::take().waits) {
    if (wait.waits_for == resource_kind::future && !test::waits_for(wait.resource).empty()) ++count;
  }
  return count;
}

bool somebody_waits(std::size_t count = 1) {
  return test::eventually([count] { return waits_for_futures() == count; });
}

struct refuses_to_be_copied {
  refuses_to_be_copied() = default;
  refuses_to_be_copied(const refuses_to_be_copied&) { throw std::runtime_error{"no copy"}; }
  refuses_to_be_copied(refuses_to_be_copied&&) noexcept = default;
};

TEST(future, a_thread_gets_the_value) {
  promise<std::string> p;
  future<std::string> f = p.get_future();
  EXPECT_FALSE(f.is_ready());
  std::string got;
  std::thread waiter{[&] { got = f.get(); }};
  EXPECT_TRUE(somebody_waits());
  p.set_value("woven");
  waiter.join();
  EXPECT_EQ(got, "woven");
  EXPECT_FALSE(f.valid());
}

TEST(future, what_is_answered_before_is_there_at_once) {
  promise<int> p;
  p.set_value(7);
  future<int> f = p.get_future();
  EXPECT_TRUE(f.is_ready());
  EXPECT_TRUE(f.wait_until(deadline::after(-1s)));
  EXPECT_EQ(f.get(), 7);
}

TEST(future, carries_what_can_only_be_moved_and_void) {
  promise<std::unique_ptr<int>> p;
  auto f = p.get_future();
  p.set_value(std::make_unique<int>(3));
  EXPECT_EQ(*f.get(), 3);
  promise<void> nothing;
  future<void> done = nothing.get_future();
  nothing.set_value();
  done.get();
  EXPECT_FALSE(done.valid());
}

TEST(future, outlives_its_promise) {
  future<int> f;
  EXPECT_FALSE(f.valid());
  {
    promise<int> p;
    f = p.get_future();
    p.set_value(1);
  }
  EXPECT_EQ(f.get(), 1);
}

TEST(future, an_exception_arrives_unchanged) {
  promise<int> p;
  future<int> f = p.get_future();
  p.set_exception(std::make_exception_ptr(std::out_of_range{"seven"}));
  try {
    (void)f.get();
    FAIL() << "nothing was thrown";
  } catch (const std::out_of_range& e) {
    EXPECT_STREQ(e.what(), "seven");
  }
}

TEST(future, a_lost_promise_is_an_answer) {
  auto p = std::make_unique<promise<int>>();
  future<int> f = p->get_future();
  future<void> overwritten;
  {
    promise<void> other;
    overwritten = other.get_future();
    other = promise<void>{};
    EXPECT_TRUE(overwritten.is_ready());
  }
  std::thread waiter{[&] { EXPECT_THROW((void)f.get(), broken_promise); }};
  EXPECT_TRUE(somebody_waits());
  p.reset();
  waiter.join();
  EXPECT_THROW(overwritten.get(), broken_promise);
}

TEST(future, a_value_that_throws_leaves_the_promise_open) {
  promise<refuses_to_be_copied> p;
  auto f = p.get_future();
  const refuses_to_be_copied original;
  EXPECT_THROW(p.set_value(original), std::runtime_error);
  EXPECT_FALSE(f.is_ready());
  p.set_value(refuses_to_be_copied{});
  (void)f.get();
}

TEST(future, a_wait_that_ends_early_loses_nothing) {
  promise<int> p;
  future<int> f = p.get_future();
  EXPECT_EQ(f.wait_until(deadline::after(1ms)).error(), wait_error::timeout);
  std::stop_source stop;
  std::thread stopper{[&] {
    EXPECT_TRUE(somebody_waits());
    stop.request_stop();
  }};
  EXPECT_EQ(f.wait_until({}, stop.get_token()).error(), wait_error::stopped);
  stopper.join();
  EXPECT_EQ(f.wait_until({}, stop.get_token()).error(), wait_error::stopped) << "a stop that fired before the wait";
  p.set_value(5);
  EXPECT_TRUE(f.wait_until(deadline::after(-1s), stop.get_token()));
  EXPECT_EQ(f.get(), 5);
}

TEST(future, several_threads_may_wait_for_one) {
  promise<int> p;
  future<int> f = p.get_future();
  std::vector<std::thread> waiters;
  waiters.reserve(4);
  for (int i = 0; i < 4; ++i) waiters.emplace_back([&] { EXPECT_TRUE(f.wait_until({})); });
  EXPECT_TRUE(somebody_waits(4));
  p.set_value(1);
  for (std::thread& t : waiters) t.join();
}

task<int> awaits(future<int> f) { co_return co_await std::move(f); }

TEST(future, a_task_gets_the_value_without_blocking_its_thread) {
  promise<int> p;
  test::manual_executor here;
  test::started<int> waiting{here, awaits(p.get_future())};
  here.run_all();  // returns: the thread is free
  EXPECT_FALSE(waiting.has_ended());
  EXPECT_EQ(waits_for_futures(), 1U);
  std::thread answers{[&] { p.set_value(9); }};
  answers.join();
  EXPECT_FALSE(waiting.has_ended()) << "resumed on the thread that answered";
  EXPECT_EQ(here.pending(), 1U);
  here.run_all();
  ASSERT_TRUE(waiting.has_ended());
  EXPECT_EQ(waiting.value(), 9);
}

TEST(future, a_task_gets_the_exception) {
  promise<int> p;
  auto f = p.get_future();
  p.set_exception(std::make_exception_ptr(std::out_of_range{"seven"}));
  EXPECT_THROW(sync_wait(awaits(std::move(f))), std::out_of_range);
}

task<std::expected<void, wait_error>> waits(const future<int>& f, deadline until, std::stop_token stop) {
  co_return co_await f.async_wait(until, std::move(stop));
}

TEST(future, a_task_times_out_and_is_stopped) {
  promise<int> p;
  future<int> f = p.get_future();
  EXPECT_EQ(sync_wait(waits(f, deadline::after(1ms), {})).error(), wait_error::timeout);
  EXPECT_EQ(sync_wait(waits(f, deadline::after(-1s), {})).error(), wait_error::timeout);
  std::stop_source stop;
  test::manual_executor here;
  test::started<std::expected<void, wait_error>> waiting{here, waits(f, {}, stop.get_token())};
  here.run_all();
  stop.request_stop();
  here.run_all();
  ASSERT_TRUE(waiting.has_ended());
  EXPECT_EQ(waiting.value().error(), wait_error::stopped);
  EXPECT_EQ(waits_for_futures(), 0U);
  p.set_value(2);
  EXPECT_TRUE(sync_wait(waits(f, deadline::after(-1s), stop.get_token())));
  EXPECT_EQ(f.get(), 2);
}

TEST(future, a_stopped_task_unwinds_and_drops_the_answer) {
  promise<int> p;
  test::manual_executor here;
  test::started<int> waiting{here, awaits(p.get_future())};
  here.run_all();
  waiting.stop();
  here.run_all();
  ASSERT_TRUE(waiting.has_ended());
  EXPECT_TRUE(waiting.was_stopped());
  p.set_value(1);  // nobody is there
}

// Answer, deadline and stop race for each wait; whoever wins, the answer arrives once.
TEST(future, answers_race_with_deadlines_and_stops) {
  constexpr int rounds = 2'000;  // each starts a thread
  int early = 0;
  for (int i = 0; i < rounds; ++i) {
    auto p = std::make_unique<promise<int>>();
    future<int> f = p->get_future();
    std::stop_source stop;
    std::atomic<int> ready{0};
    std::thread answers{[&] {
      ready.fetch_add(1);
      for (int k = 0; k < i % 16; ++k) std::this_thread::yield();
      if (i % 3 == 0) stop.request_stop();
      p->set_value(i);
      p.reset();
    }};
    while (ready.load() == 0) std::this_thread::yield();
    if (!f.wait_until(deadline::after(std::chrono::nanoseconds{i % 50'000}), stop.get_token())) ++early;
    ASSERT_EQ(f.get(), i);
    answers.join();
  }
  EXPECT_GT(early, 0);
  EXPECT_LT(early, rounds);
}

TEST_F(future_misuse, answering_twice_is_fatal) {
  EXPECT_DEATH(
      {
        promise<int> p;
        p.set_value(1);
        p.set_value(2);
      },
      "a promise was answered twice");
}

TEST_F(future_misuse, reading_twice_is_fatal) {
  EXPECT_DEATH(
      {
        promise<int> p;
        future<int> f = p.get_future();
        p.set_value(1);
        (void)f.get();
        (void)f.get();
      },
      "a future was used that has been read");
}

TEST_F(future_misuse, two_futures_of_one_promise_are_fatal) {
  EXPECT_DEATH(
      {
        promise<int> p;
        future<int> f = p.get_future();
        f = p.get_future();
      },
      "a promise has one future");
}

}  // namespace
