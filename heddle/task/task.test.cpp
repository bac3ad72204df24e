#include <heddle/task/task.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <algorithm>
#include <memory>
#include <mutex>
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
using test::waited_for;

task<int> value_of(int value) { co_return value; }

task<void> set(bool& ran) {
  ran = true;
  co_return;
}

TEST(task, nothing_runs_until_it_is_awaited) {
  bool ran = false;
  {
    const task<void> dropped = set(ran);
    EXPECT_TRUE(dropped.valid());
  }
  EXPECT_FALSE(ran);
  const auto await_later = [](bool& seen) -> task<bool> {
    task<void> later = set(seen);
    const bool before = seen;
    co_await std::move(later);
    co_return !before && seen;
  };
  EXPECT_TRUE(sync_wait(await_later(ran)));
}

TEST(task, gives_values_that_can_only_be_moved) {
  const auto make = [](int value) -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(value); };
  const auto pass = [](auto made) -> task<std::unique_ptr<int>> { co_return co_await std::move(made); };
  EXPECT_EQ(*sync_wait(pass(make(4))), 4);
}

TEST(task, can_be_moved_before_it_runs) {
  task<int> first = value_of(1);
  task<int> second = std::move(first);
  EXPECT_FALSE(first.valid());  // NOLINT(bugprone-use-after-move): that is the point
  first = value_of(2);
  first = std::move(second);
  EXPECT_EQ(sync_wait(std::move(first)), 1);
}

task<int> fail() {
  throw std::invalid_argument{"as it was thrown"};
  co_return 0;
}

TEST(task, an_exception_reaches_the_awaiter) {
  const auto inner = []() -> task<int> { co_return co_await fail() + 1; };
  const auto outer = [](auto body) -> task<std::string> {
    try {
      (void)co_await body();
    } catch (const std::invalid_argument& error) {
      co_return error.what();
    }
    co_return "nothing was thrown";
  };
  EXPECT_EQ(sync_wait(outer(inner)), "as it was thrown");
  EXPECT_THROW(sync_wait(inner()), std::invalid_argument);
}

/// Notes its name when it is destroyed.
class noted {
 public:
  noted(std::vector<std::string>& log, std::string name) : log_{log}, name_{std::move(name)} {}
  noted(const noted&) = delete;
  noted& operator=(const noted&) = delete;
  ~noted() { log_.push_back(name_); }

 private:
  std::vector<std::string>& log_;
  std::string name_;
};

task<void> innermost(semaphore& never, mutex& m, std::vector<std::string>& log) {
  const noted a{log, "innermost, made first"};
  const std::unique_lock held = co_await m.async_lock();
  const noted b{log, "innermost, made second"};
  const semaphore_permit permit = co_await never.async_acquire();
  log.emplace_back("innermost went on");
}

task<void> middle(semaphore& never, mutex& m, std::vector<std::string>& log) {
  const noted a{log, "middle"};
  try {
    co_await innermost(never, m, log);
    log.emplace_back("middle went on");
  } catch (...) {
    log.emplace_back("middle caught");
  }
}

task<void> outermost(semaphore& never, mutex& m, std::vector<std::string>& log) {
  const noted a{log, "outermost"};
  co_await middle(never, m, log);
  log.emplace_back("outermost went on");
}

TEST(task, stopping_destroys_the_frames_innermost_first) {
  semaphore never{0};
  mutex m;
  std::vector<std::string> log;
  manual_executor ready;
  started whole{ready, outermost(never, m, log)};
  ready.run_all();
  ASSERT_TRUE(waited_for(never));
  EXPECT_NE(m.holder(), 0U);
  EXPECT_TRUE(log.empty());
  whole.stop();
  ready.run_all();
  ASSERT_TRUE(whole.has_ended());
  EXPECT_TRUE(whole.was_stopped());
  EXPECT_EQ(log, (std::vector<std::string>{"innermost, made second", "innermost, made first", "middle", "outermost"}));
  EXPECT_EQ(m.holder(), 0U) << "what it held is given back";
}

TEST(task, a_stop_cannot_be_swallowed) {
  semaphore never{0};
  mutex m;
  std::vector<std::string> log;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(sync_wait_outcome(middle(never, m, log), {stop.get_token(), {}}).is_stopped());
  EXPECT_EQ(std::ranges::count(log, "middle caught"), 0);
  EXPECT_THROW(sync_wait(middle(never, m, log), {stop.get_token(), {}}), task_stopped);
}

TEST(task, a_stop_ends_at_whoever_asks_for_the_outcome) {
  const auto asks = []() -> task<std::string> {
    const auto stops = []() -> task<int> {
      co_await this_task::end_as_stopped();
      co_return 1;
    };
    const outcome<int> how = co_await as_outcome(stops());
    co_return how.is_stopped() ? "stopped" : "not stopped";
  };
  EXPECT_EQ(sync_wait(asks()), "stopped");
}

TEST(task, as_outcome_tells_value_and_exception_apart) {
  const auto asks = []() -> task<bool> {
    outcome<int> good = co_await as_outcome(value_of(3));
    outcome<int> bad = co_await as_outcome(fail());
    EXPECT_TRUE(bad.error());
    EXPECT_THROW(std::move(bad).value(), std::invalid_argument);
    co_return good.has_value() && std::move(good).value() == 3 && !good.error();
  };
  EXPECT_TRUE(sync_wait(asks()));
}

TEST(task, as_outcome_can_give_another_context) {
  const auto asks = []() -> task<bool> {
    std::stop_source stop;
    stop.request_stop();
    const task_context other{stop.get_token(), deadline::at_ns(5)};
    const auto sees = []() -> task<bool> { co_return (co_await this_task::context()).until == deadline::at_ns(5); };
    const auto stops = []() -> task<void> { co_await this_task::check_stop(); };
    outcome<bool> saw = co_await as_outcome(sees(), &other);
    const outcome<void> stopped = co_await as_outcome(stops(), &other);
    co_return std::move(saw).value() && stopped.is_stopped();
  };
  EXPECT_TRUE(sync_wait(asks()));
}

task<int> depth(int left) {
  if (left == 0) co_return 0;
  co_return co_await depth(left - 1) + 1;
}

TEST(task, a_long_chain_does_not_grow_the_stack) {
  const auto one_after_the_other = []() -> task<int> {
    int sum = 0;
    for (int i = 0; i < 200'000; ++i) sum += co_await value_of(1);
    co_return sum;
  };
  EXPECT_EQ(sync_wait(one_after_the_other()), 200'000);
  EXPECT_EQ(sync_wait(depth(100'000)), 100'000);
}

task<void> deep_wait(semaphore& never, int left, int& destroyed) {
  struct counted {
    int& count;
    ~counted() { ++count; }
  };
  const counted last{destroyed};
  if (left == 0) {
    (void)co_await never.async_acquire();
  } else {
    co_await deep_wait(never, left - 1, destroyed);
  }
}

TEST(task, a_deep_chain_is_stopped_without_growing_the_stack) {
  constexpr int levels = 100'000;
  semaphore never{0};
  int destroyed = 0;
  manual_executor ready;
  started whole{ready, deep_wait(never, levels, destroyed)};
  ready.run_all();
  ASSERT_TRUE(waited_for(never));
  whole.stop();
  ready.run_all();
  ASSERT_TRUE(whole.has_ended());
  EXPECT_TRUE(whole.was_stopped());
  EXPECT_EQ(destroyed, levels + 1);
}

task<int> deep_fail(int left) {
  if (left == 0) throw std::invalid_argument{"from below"};
  co_return co_await deep_fail(left - 1) + 1;
}

TEST(task, an_exception_through_a_deep_chain_does_not_grow_the_stack) {
  EXPECT_THROW(sync_wait(deep_fail(100'000)), std::invalid_argument);
}

TEST(task, a_task_can_end_itself_as_stopped) {
  std::vector<std::string> log;
  const auto inner = [](std::vector<std::string>& to) -> task<void> {
    const noted last{to, "inner"};
    co_await this_task::end_as_stopped();
    to.emplace_back("inner went on");
  };
  const auto outer = [](auto body, std::vector<std::string>& to) -> task<void> {
    const noted last{to, "outer"};
    co_await body(to);
    to.emplace_back("outer went on");
  };
  EXPECT_TRUE(sync_wait_outcome(outer(inner, log)).is_stopped());
  EXPECT_EQ(log, (std::vector<std::string>{"inner", "outer"}));
}

TEST(task, check_stop_ends_a_stopped_task) {
  int rounds = 0;
  std::stop_source stop;
  const auto work = [](int& done, std::stop_source& source) -> task<void> {
    for (;;) {
      co_await this_task::check_stop();
      if (++done == 3) source.request_stop();
    }
  };
  EXPECT_TRUE(sync_wait_outcome(work(rounds, stop), {stop.get_token(), {}}).is_stopped());
  EXPECT_EQ(rounds, 3);
}

TEST(task, inherits_the_context) {
  std::stop_source stop;
  const auto inner = [](const std::stop_token& expected) -> task<bool> {
    const task_context& own = co_await this_task::context();
    co_return own.stop == expected&& own.until == deadline::at_ns(7);
  };
  const auto outer = [](auto body, std::stop_token expected) -> task<bool> { co_return co_await body(expected); };
  EXPECT_TRUE(sync_wait(outer(inner, stop.get_token()), {stop.get_token(), deadline::at_ns(7)}));
}

TEST(task, resume_on_moves_the_task) {
  loop_thread one;
  loop_thread other;
  const auto where_am_i = []() -> task<std::thread::id> {
    co_await this_task::yield();
    co_return std::this_thread::get_id();
  };
  const auto travel = [](executor& there, auto ask) -> task<std::pair<std::thread::id, std::thread::id>> {
    const std::thread::id before = co_await ask();
    co_await this_task::resume_on(there);
    EXPECT_EQ(&co_await this_task::current_executor(), &there);
    co_return std::pair{before, co_await ask()};
  };
  started task{one.where(), travel(other.where(), where_am_i)};
  ASSERT_TRUE(task.ends());
  EXPECT_EQ(task.value(), std::pair(one.id(), other.id()));
}

TEST(task, yield_lets_others_run_first) {
  manual_executor ready;
  std::string order;
  const auto write = [](std::string& to, char letter) -> task<void> {
    to += letter;
    co_await this_task::yield();
    to += letter;
  };
  started first{ready, write(order, 'a')};
  started second{ready, write(order, 'b')};
  ready.run_all();
  EXPECT_EQ(order, "abab");
}

// --- misuse ---

using task_misuse = test::misuse;

task<void> await_moved_from() {
  task<int> body = value_of(1);
  const task<int> other = std::move(body);
  (void)co_await std::move(body);  // NOLINT(bugprone-use-after-move): that is the misuse
}

TEST_F(task_misuse, awaiting_what_was_moved_from_is_fatal) {
  EXPECT_DEATH(sync_wait(await_moved_from()), "a task was awaited that has been moved from or awaited before");
}

TEST_F(task_misuse, spawning_what_was_moved_from_is_fatal) {
  const auto open = []() -> task<void> {
    co_await with_scope([](scope& children) -> task<void> {
      task<int> body = value_of(1);
      const task<int> other = std::move(body);
      children.spawn(std::move(body));  // NOLINT(bugprone-use-after-move): that is the misuse
      co_return;
    });
  };
  EXPECT_DEATH(sync_wait(open()), "a task was spawned that has been moved from or awaited before");
}

TEST_F(task_misuse, asking_a_stopped_outcome_for_its_value_is_fatal) {
  EXPECT_DEATH(outcome<int>{stopped_t{}}.value(), "the value of a stopped task was asked for");
}

}  // namespace
}  // namespace heddle
