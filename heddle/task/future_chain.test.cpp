#include <gtest/gtest.h>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/future.hpp>
#include <heddle/task/start_on.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace heddle {
namespace {

using test::loop_thread;
using test::manual_executor;
using test::started;

TEST(future, then_runs_when_there_is_an_answer) {
  promise<int> first;
  bool ran = false;
  future<std::string> last = first.get_future().then([&](int value) {
    ran = true;
    return std::to_string(value);
  });
  EXPECT_FALSE(ran);
  EXPECT_FALSE(last.is_ready());
  first.set_value(4);
  EXPECT_TRUE(ran);
  EXPECT_EQ(last.get(), "4");
  promise<int> second;
  second.set_value(5);
  EXPECT_EQ(second.get_future().then([](int value) { return value + 1; }).get(), 6) << "the answer was there";
}

TEST(future, then_carries_void_and_what_can_only_be_moved) {
  promise<void> nothing;
  future<std::unique_ptr<int>> made = nothing.get_future().then([] { return std::make_unique<int>(3); });
  int seen = 0;
  future<void> last = std::move(made).then([&](std::unique_ptr<int> value) { seen = *value; });
  nothing.set_value();
  last.get();
  EXPECT_EQ(seen, 3);
}

TEST(future, then_runs_on_the_executor) {
  loop_thread other;
  promise<int> first;
  future<std::thread::id> where =
      first.get_future().then(other.where(), [](int) { return std::this_thread::get_id(); });
  first.set_value(1);
  EXPECT_EQ(where.get(), other.id());
}

TEST(future, an_exception_passes_by_then) {
  promise<int> first;
  bool ran = false;
  future<int> last =
      first.get_future().then([](int) -> int { throw std::out_of_range{"from the first"}; }).then([&](int value) {
        ran = true;
        return value;
      });
  first.set_value(1);
  EXPECT_THROW((void)last.get(), std::out_of_range);
  EXPECT_FALSE(ran);
  future<int> lost;
  {
    promise<int> gone;
    lost = gone.get_future().then([](int value) { return value; });
  }
  EXPECT_THROW((void)lost.get(), broken_promise);
}

TEST(future, what_then_captured_is_gone_before_the_answer) {
  const auto kept = std::make_shared<int>(1);
  promise<void> first;
  future<int> last = first.get_future().then([kept] { return *kept; });
  EXPECT_EQ(kept.use_count(), 2);
  first.set_value();
  EXPECT_TRUE(last.is_ready());
  EXPECT_EQ(kept.use_count(), 1);
}

TEST(future, a_long_chain_of_then_does_not_grow_the_stack) {
  promise<int> first;
  future<int> last = first.get_future();
  for (int i = 0; i < 100'000; ++i) last = std::move(last).then([](int value) { return value + 1; });
  first.set_value(0);
  EXPECT_EQ(last.get(), 100'000);
}

TEST(future, a_long_chain_may_be_dropped) {
  promise<int> first;
  {
    future<int> last = first.get_future();
    for (int i = 0; i < 100'000; ++i) last = std::move(last).then([](int value) { return value + 1; });
  }
  first.set_value(0);
}

TEST(future, then_races_with_the_answer) {
  for (int i = 0; i < 2'000; ++i) {
    promise<int> first;
    future<int> start = first.get_future();
    std::thread answers{[&] { first.set_value(i); }};
    future<int> last = std::move(start).then([](int value) { return value * 2; });
    EXPECT_EQ(last.get(), 2 * i);
    answers.join();
  }
}

TEST(future, cancelling_reaches_the_promise) {
  promise<int> early;
  const std::stop_token token = early.when_cancelled();
  const future<int> first = early.get_future();
  EXPECT_FALSE(token.stop_requested());
  first.cancel();
  EXPECT_TRUE(token.stop_requested());
  EXPECT_FALSE(first.is_ready()) << "the promise has to answer";
  early.set_value(1);
  EXPECT_TRUE(first.is_ready());

  promise<int> late;
  const future<int> second = late.get_future();
  second.cancel();
  EXPECT_TRUE(late.when_cancelled().stop_requested()) << "whoever asks later is told, too";
}

TEST(future, cancelling_goes_up_a_chain) {
  promise<int> first;
  const std::stop_token token = first.when_cancelled();
  const future<int> last =
      first.get_future().then([](int value) { return value; }).then([](int value) { return value; });
  last.cancel();
  EXPECT_TRUE(token.stop_requested());
  first.set_value(1);
  last.cancel();  // nothing any more
}

// --- shared ---

TEST(shared_future, threads_and_tasks_read_the_same_value) {
  promise<std::string> gives;
  const shared_future<std::string> all = gives.get_future().share();
  loop_thread loop;
  const auto read = [](shared_future<std::string> from) -> task<const std::string*> {
    const std::string& value = co_await from;
    co_return &value;
  };
  started task{loop.where(), read(all)};
  std::vector<const std::string*> seen(3);
  std::vector<std::thread> threads;
  for (auto& each : seen) threads.emplace_back([&each, all] { each = &all.get(); });
  EXPECT_TRUE(test::eventually([] { return test::waits_named("future").size() == 4; }));
  gives.set_value("shared");
  for (std::thread& each : threads) each.join();
  ASSERT_TRUE(task.ends());
  for (const std::string* each : seen) EXPECT_EQ(each, &all.get());
  EXPECT_EQ(task.value(), &all.get());
  EXPECT_EQ(all.get(), "shared");
}

TEST(shared_future, an_exception_is_thrown_to_each) {
  promise<void> gives;
  const shared_future<void> first = gives.get_future().share();
  const shared_future<void> second = first;
  gives.set_exception(std::make_exception_ptr(std::out_of_range{"for all"}));
  for (const shared_future<void>& each : {first, second, first}) EXPECT_THROW(each.get(), std::out_of_range);
}

TEST(shared_future, a_stopped_reader_leaves_the_others_theirs) {
  manual_executor ready;
  promise<int> gives;
  const shared_future<int> all = gives.get_future().share();
  const auto read = [](shared_future<int> from) -> task<int> { co_return co_await from; };
  started stopped{ready, read(all)};
  started other{ready, read(all)};
  ready.run_all();
  stopped.stop();
  ready.run_all();
  EXPECT_TRUE(stopped.was_stopped());
  gives.set_value(3);
  ready.run_all();
  EXPECT_EQ(other.value(), 3);
}

TEST(shared_future, waits_no_longer_than_its_deadline) {
  promise<int> answers;
  const shared_future<int> all = answers.get_future().share();
  EXPECT_EQ(all.wait_until(deadline::at_ns(1)).error(), wait_error::timeout);
  answers.set_value(1);
  EXPECT_TRUE(all.wait_until(deadline::at_ns(1)).has_value());
  EXPECT_TRUE(all.is_ready());
}

using future_misuse = test::misuse;

TEST_F(future_misuse, reading_a_shared_future_of_nothing_is_fatal) {
  EXPECT_DEATH(shared_future<int>{}.get(), "a shared_future was used that stands for nothing");
}

// --- start_on ---

task<int> value_after_a_yield(int value) {
  co_await this_task::yield();
  if (value < 0) throw std::out_of_range{"negative"};
  co_return value;
}

TEST(start_on, the_future_tells_how_the_task_ended) {
  loop_thread loop;
  EXPECT_EQ(start_on(loop.where(), value_after_a_yield(4)).get(), 4);
  EXPECT_THROW((void)start_on(loop.where(), value_after_a_yield(-1)).get(), std::out_of_range);
  const auto stops = []() -> task<void> { co_await this_task::end_as_stopped(); };
  EXPECT_THROW(start_on(loop.where(), stops()).get(), task_stopped);
}

TEST(start_on, cancelling_the_future_stops_the_task) {
  loop_thread loop;
  semaphore never{0};
  const auto wait = [](semaphore& s) -> task<void> { (void)co_await s.async_acquire(); };
  future<void> end = start_on(loop.where(), wait(never), {}, "waits");
  EXPECT_TRUE(test::waited_for(never));
  end.cancel();
  EXPECT_THROW(end.get(), task_stopped);
}

TEST(start_on, one_cancelled_before_it_ran_ends_at_its_first_wait) {
  manual_executor ready;
  semaphore never{0};
  bool ran = false;
  const auto wait = [](semaphore& s, bool& r) -> task<void> {
    r = true;
    (void)co_await s.async_acquire();
    ADD_FAILURE() << "it went on";
  };
  future<void> end = start_on(ready, wait(never, ran));
  end.cancel();
  EXPECT_FALSE(end.is_ready());
  ready.run_all();
  EXPECT_TRUE(ran);
  EXPECT_THROW(end.get(), task_stopped);
}

TEST(start_on, a_stop_from_another_thread_destroys_the_frames_on_the_executors_thread) {
  loop_thread loop;
  semaphore never{0};
  std::thread::id destroyed_on;
  struct noted {
    std::thread::id& to;
    ~noted() { to = std::this_thread::get_id(); }
  };
  const auto wait = [](semaphore& s, std::thread::id& to) -> task<void> {
    const noted last{to};
    (void)co_await s.async_acquire();
  };
  future<void> end = start_on(loop.where(), wait(never, destroyed_on));
  ASSERT_TRUE(test::waited_for(never));
  end.cancel();
  EXPECT_THROW(end.get(), task_stopped);
  EXPECT_EQ(destroyed_on, loop.id());
}

TEST(start_on, cancelling_races_with_the_end_and_there_is_one_answer) {
  loop_thread loop;
  int ended = 0;
  int stopped = 0;
  for (int i = 0; i < 500; ++i) {
    semaphore go{0};
    const auto wait = [](semaphore& s) -> task<int> {
      (void)co_await s.async_acquire();
      co_return 1;
    };
    future<int> end = start_on(loop.where(), wait(go));
    std::thread cancels{[&] { end.cancel(); }};
    go.release();
    cancels.join();
    try {
      ended += end.get();
    } catch (const task_stopped&) {
      ++stopped;
    }
    EXPECT_EQ(go.available(), 1U) << "the permit is neither lost nor doubled";
  }
  EXPECT_EQ(ended + stopped, 500);
}

}  // namespace
}  // namespace heddle
