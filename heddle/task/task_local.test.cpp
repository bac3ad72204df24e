#include <heddle/task/task_local.hpp>

#include <gtest/gtest.h>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/when_all.hpp>
#include <heddle/task/with_timeout.hpp>

#include <chrono>
#include <string>

namespace heddle {
namespace {

using namespace std::chrono_literals;

constexpr task_local<int> number;
constexpr task_local<int> another_number;
constexpr task_local<std::string> text;

task<int> bound_number() {
  const int* const found = co_await number.get();
  co_return found != nullptr ? *found : 0;
}

TEST(task_local, is_seen_by_what_is_awaited_and_by_children) {
  const auto tree = []() -> task<int> {
    const auto [a, b] = co_await when_all(bound_number(), bound_number());
    const auto c = co_await with_timeout(bound_number(), deadline::after(1h));
    co_return a + b + *c + co_await bound_number();
  };
  const auto whole = [](auto body) -> task<int> {
    const int before = co_await bound_number();
    const int within = co_await number.with(5, body());
    const int after = co_await bound_number();
    EXPECT_EQ(before, 0);
    EXPECT_EQ(after, 0);
    co_return within;
  };
  EXPECT_EQ(sync_wait(whole(tree)), 20);
}

TEST(task_local, the_innermost_value_counts) {
  const auto both = []() -> task<std::string> {
    const std::string* const found = co_await text.get();
    co_return *found + std::to_string(co_await bound_number());
  };
  EXPECT_EQ(sync_wait(number.with(1, text.with("a", number.with(2, both())))), "a2");
  EXPECT_EQ(sync_wait(text.with("a", number.with(1, text.with("b", both())))), "b1");
}

TEST(task_local, each_has_a_value_of_its_own) {
  const auto both = []() -> task<bool> {
    co_return *co_await number.get() == 1 && *co_await another_number.get() == 2;
  };
  EXPECT_TRUE(sync_wait(number.with(1, another_number.with(2, both()))));
}

}  // namespace
}  // namespace heddle
