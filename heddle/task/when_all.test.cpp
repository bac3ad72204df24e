#include <heddle/task/when_all.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <memory>
#include <numeric>
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

task<int> after_permit(semaphore& s) {
  const semaphore_permit permit = co_await s.async_acquire();
  co_return 1;
}

task<int> fail() {
  co_await this_task::yield();
  throw std::out_of_range{"failed"};
}

task<int> end_as_stopped() {
  co_await this_task::yield();
  co_await this_task::end_as_stopped();
  co_return 1;
}

task<void> nothing() { co_return; }

TEST(when_all, gives_the_values_in_order) {
  const auto text = []() -> task<std::string> { co_return "text"; };
  const auto result = sync_wait(when_all(after_yields(3, 1), text(), nothing(), after_yields(0, 2)));
  EXPECT_EQ(result, (std::tuple{1, std::string{"text"}, std::monostate{}, 2}));
}

TEST(when_all, all_run_concurrently) {
  test::manual_executor ready;
  semaphore go{0};
  const auto both = [](semaphore& s) -> task<int> {
    const auto [a, b] = co_await when_all(after_permit(s), after_permit(s));
    co_return a + b;
  };
  test::started whole{ready, both(go)};
  ready.run_all();
  ASSERT_TRUE(test::waited_for(go, 2));
  go.release(2);
  ready.run_all();
  ASSERT_TRUE(whole.has_ended());
  EXPECT_EQ(whole.value(), 2);
}

TEST(when_all, takes_any_number_of_tasks) {
  std::vector<task<int>> bodies;
  for (int i = 0; i < 200; ++i) bodies.push_back(after_yields(i % 7, i));
  std::vector<int> expected(200);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(sync_wait(when_all(std::move(bodies))), expected);
  EXPECT_TRUE(sync_wait(when_all(std::vector<task<int>>{})).empty());
  std::vector<task<void>> empties;
  empties.push_back(nothing());
  EXPECT_EQ(sync_wait(when_all(std::move(empties))).size(), 1U);
}

TEST(when_all, values_need_not_be_copied) {
  const auto make = [](int value) -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(value); };
  const auto [a, b] = sync_wait(when_all(make(1), make(2)));
  EXPECT_EQ(*a + *b, 3);
}

TEST(when_all, the_first_failure_stops_the_others) {
  semaphore never{0};
  EXPECT_THROW(sync_wait(when_all(after_permit(never), fail(), after_permit(never))), std::out_of_range);
  EXPECT_TRUE(test::waits_for(&never).empty());
  std::vector<task<int>> bodies;
  bodies.push_back(after_permit(never));
  bodies.push_back(fail());
  EXPECT_THROW(sync_wait(when_all(std::move(bodies))), std::out_of_range);
}

TEST(when_all, a_stopped_child_unwinds_the_whole) {
  semaphore never{0};
  EXPECT_TRUE(sync_wait_outcome(when_all(after_permit(never), end_as_stopped())).is_stopped());
  std::vector<task<int>> bodies;
  bodies.push_back(after_permit(never));
  bodies.push_back(end_as_stopped());
  EXPECT_TRUE(sync_wait_outcome(when_all(std::move(bodies))).is_stopped());
  EXPECT_TRUE(test::waits_for(&never).empty());
}

TEST(when_all, a_stop_from_outside_reaches_all) {
  test::manual_executor ready;
  semaphore never{0};
  test::started whole{ready, when_all(after_permit(never), after_permit(never))};
  ready.run_all();
  ASSERT_TRUE(test::waited_for(never, 2));
  whole.stop();
  ready.run_all();
  ASSERT_TRUE(whole.has_ended());
  EXPECT_TRUE(whole.was_stopped());
}

}  // namespace
}  // namespace heddle
