#include <heddle/task/when_any.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/invoke.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace heddle {
namespace {

task<int> after_yields(int yields, int value) {
  for (int i = 0; i < yields; ++i) co_await this_task::yield();
  co_return value;
}

task<int> after_permit(semaphore& s, bool* destroyed = nullptr) {
  struct at_end {
    bool* destroyed;
    ~at_end() {
      if (destroyed != nullptr) *destroyed = true;
    }
  };
  const at_end last{destroyed};
  const semaphore_permit permit = co_await s.async_acquire();
  co_return 1;
}

task<int> fail_after(int yields) {
  for (int i = 0; i < yields; ++i) co_await this_task::yield();
  throw std::out_of_range{"failed"};
}

task<int> end_as_stopped() {
  co_await this_task::end_as_stopped();
  co_return 1;
}

task<void> nothing() { co_return; }

TEST(when_any, gives_the_first_value_and_says_whose_it_is) {
  const auto text = []() -> task<std::string> {
    co_await this_task::yield();
    co_return "text";
  };
  const auto result = sync_wait(when_any(after_yields(9, 1), text(), after_yields(7, 2)));
  ASSERT_EQ(result.index(), 1U);
  EXPECT_EQ(std::get<1>(result), "text");
  EXPECT_EQ(sync_wait(when_any(after_yields(9, 1), nothing())).index(), 1U);
}

TEST(when_any, the_losers_have_ended_when_it_returns) {
  semaphore never{0};
  bool destroyed = false;
  const auto whole = [](semaphore& s, bool& gone) -> task<bool> {
    (void)co_await when_any(after_permit(s, &gone), after_yields(3, 1));
    co_return gone;
  };
  EXPECT_TRUE(sync_wait(whole(never, destroyed)));
  EXPECT_TRUE(test::waits_for(&never).empty());
}

TEST(when_any, a_loser_that_takes_long_to_stop_is_waited_for) {
  test::manual_executor ready;
  test::manual_executor slow;
  semaphore never{0};
  const auto elsewhere = [](executor& there, semaphore& s) -> task<int> {
    co_await this_task::resume_on(there);
    co_return co_await after_permit(s);
  };
  test::started whole{ready, when_any(elsewhere(slow, never), after_yields(3, 1))};
  ready.run_one();
  ready.run_one();
  slow.run_all();
  ready.run_all();
  EXPECT_FALSE(whole.has_ended());
  slow.run_all();
  ready.run_all();
  ASSERT_TRUE(whole.has_ended());
  EXPECT_EQ(whole.value().index(), 1U);
}

TEST(when_any, the_first_exception_wins_like_a_value) {
  semaphore never{0};
  EXPECT_THROW(sync_wait(when_any(after_permit(never), fail_after(1))), std::out_of_range);
  EXPECT_EQ(sync_wait(when_any(after_yields(1, 5), fail_after(9))).index(), 0U) << "one that fails later is not heard";
}

TEST(when_any, one_that_ends_as_stopped_is_out_of_the_race) {
  EXPECT_EQ(sync_wait(when_any(end_as_stopped(), after_yields(3, 1))).index(), 1U);
  EXPECT_TRUE(sync_wait_outcome(when_any(end_as_stopped(), end_as_stopped())).is_stopped());
}

TEST(when_any, takes_any_number_of_tasks) {
  std::vector<task<int>> bodies;
  for (int i = 0; i < 100; ++i) bodies.push_back(after_yields(200 - i, i));
  const auto first = sync_wait(when_any(std::move(bodies)));
  EXPECT_EQ(first.index, 99U);
  EXPECT_EQ(first.value, 99);
}

TEST(when_any, values_need_not_be_copied) {
  const auto make = [](int value) -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(value); };
  const auto first = sync_wait(when_any(make(1), make(2)));
  EXPECT_EQ(std::visit([](const auto& value) { return *value; }, first), 1);
}

TEST(when_any, a_stop_from_outside_reaches_all) {
  test::manual_executor ready;
  semaphore never{0};
  test::started whole{ready, when_any(after_permit(never), after_permit(never))};
  ready.run_all();
  ASSERT_TRUE(test::waited_for(never, 2));
  whole.stop();
  ready.run_all();
  ASSERT_TRUE(whole.has_ended());
  EXPECT_TRUE(whole.was_stopped());
}

TEST(when_any, races_between_threads_have_one_winner) {
  test::loop_thread one;
  test::loop_thread other;
  const auto on = [](executor& where, int value) -> task<int> {
    co_await this_task::resume_on(where);
    co_return value;
  };
  const auto whole = [](auto start, executor& a, executor& b) -> task<int> {
    int sum = 0;
    for (int i = 0; i < 500; ++i) {
      const auto first = co_await when_any(start(a, 0), start(b, 1));
      sum += std::visit([](int value) { return value; }, first) == static_cast<int>(first.index()) ? 1 : 0;
    }
    co_return sum;
  };
  EXPECT_EQ(sync_wait(whole(on, one.where(), other.where())), 500);
}

using when_any_misuse = test::misuse;

TEST_F(when_any_misuse, of_no_tasks_is_fatal) {
  EXPECT_DEATH((void)sync_wait(when_any(std::vector<task<int>>{})), "when_any of no tasks would never end");
}

// --- invoke ---

TEST(invoke, what_was_captured_lives_as_long_as_the_task) {
  test::manual_executor ready;
  const auto value = std::make_shared<int>(3);
  test::started whole{ready, heddle::invoke([value]() -> task<int> {
                        co_await this_task::yield();
                        co_return *value;
                      })};
  EXPECT_EQ(value.use_count(), 2);
  ready.run_all();
  ASSERT_TRUE(whole.has_ended());
  EXPECT_EQ(whole.value(), 3);
  EXPECT_EQ(value.use_count(), 1) << "and no longer";
}

TEST(invoke, arguments_live_as_long_as_the_task) {
  int counted = 0;
  const auto join = [](const std::string& a, std::unique_ptr<int> b, int& c) -> task<std::string> {
    co_await this_task::yield();
    ++c;
    co_return a + std::to_string(*b);
  };
  EXPECT_EQ(sync_wait(heddle::invoke(join, std::string(100, 'a'), std::make_unique<int>(4), std::ref(counted))),
            std::string(100, 'a') + "4");
  EXPECT_EQ(counted, 1);
}

}  // namespace
}  // namespace heddle
