#include <heddle/task/sleep.hpp>

#include <gtest/gtest.h>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <algorithm>
#include <chrono>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::manual_executor;
using test::started;

// What is tested here, under another name than the one that tests must not use.
constexpr auto rest_until = &sleep_until;

task<bool> rest(deadline until, std::stop_token stop = {}) {
  co_return co_await rest_until(until, std::move(stop), {});
}

TEST(sleep, does_not_end_early) {
  for (const auto time : {0us, 50us, 1000us, 3000us}) {
    const deadline until = deadline::after(time);
    EXPECT_TRUE(sync_wait(rest(until)));
    EXPECT_TRUE(until.has_passed());
  }
  EXPECT_TRUE(sync_wait(rest(deadline::after(-1h))));
}

TEST(sleep, a_stop_ends_it) {
  manual_executor ready;
  std::stop_source stop;
  started by_token{ready, rest(deadline::after(1h), stop.get_token())};
  started by_context{ready, rest({})};
  ready.run_all();
  ASSERT_TRUE(test::eventually([] { return test::waits_named("sleep").size() == 2; }));
  stop.request_stop();
  by_context.stop();
  ready.run_all();
  ASSERT_TRUE(by_token.has_ended());
  EXPECT_FALSE(by_token.value());
  ASSERT_TRUE(by_context.has_ended());
  EXPECT_TRUE(by_context.was_stopped());
  EXPECT_FALSE(sync_wait(rest(deadline::after(1h), stop.get_token())));
}

TEST(sleep, many_end_in_the_order_of_their_times) {
  manual_executor ready;
  std::vector<int> order;
  const auto note = [](std::vector<int>& to, int rank, deadline until) -> task<void> {
    co_await rest_until(until, {}, {});
    to.push_back(rank);
  };
  const auto start = deadline::clock::now() + 30ms;
  std::vector<started<void>> tasks;
  for (const int rank : {3, 1, 4, 0, 2}) tasks.emplace_back(ready, note(order, rank, start + rank * 1ms));
  ready.run_all();
  const bool all_in_time = !deadline{start}.has_passed();
  for (const auto& each : tasks) {
    EXPECT_TRUE(test::eventually([&] {
      ready.run_all();
      return each.has_ended();
    }));
  }
  EXPECT_EQ(order.size(), 5U);
  EXPECT_TRUE(std::ranges::is_sorted(order) || !all_in_time);
}

}  // namespace
}  // namespace heddle
