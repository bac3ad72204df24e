#include <heddle/task/trace.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/future.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using test::manual_executor;
using test::started;
using test::waited_for;

// The functions in a trace, and the line of each in this file.
struct step {
  std::string function;
  unsigned line;
};
std::vector<step> steps_of(const task_trace& trace) {
  std::vector<step> steps;
  std::string text = trace.text();
  for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
    const std::string line = text.substr(0, end);
    const std::size_t colon = line.find(':');
    const std::size_t open = line.find(" (");
    EXPECT_TRUE(line.starts_with("heddle/task/")) << line;
    steps.push_back({line.substr(open + 2, line.size() - open - 3),
                     static_cast<unsigned>(std::stoul(line.substr(colon + 1, open - colon - 1)))});
  }
  return steps;
}

constexpr unsigned leaf_line = __LINE__ + 1;
task<task_trace> leaf(int /*how_deep*/) { co_return co_await this_task::trace(); }
constexpr unsigned middle_line = __LINE__ + 1;
task<task_trace> middle() { co_return co_await leaf(1); }
constexpr unsigned top_line = __LINE__ + 3;
task<task_trace> top() {
  co_await this_task::yield();
  co_return co_await middle();
}

TEST(trace, of_oneself_names_everybody_who_awaits) {
  const std::vector<step> steps = steps_of(sync_wait(top()));
  ASSERT_EQ(steps.size(), 3U);
  EXPECT_EQ(steps[0].function, "leaf");
  EXPECT_EQ(steps[0].line, leaf_line);
  EXPECT_EQ(steps[1].function, "middle");
  EXPECT_EQ(steps[1].line, middle_line);
  EXPECT_EQ(steps[2].function, "top");
  EXPECT_EQ(steps[2].line, top_line);
}

task<void> reserve(semaphore& never) { (void)co_await never.async_acquire(); }
task<void> order(semaphore& never) { co_await reserve(never); }

TEST(trace, of_every_suspended_task_shows_how_it_came_there) {
  manual_executor ready;
  semaphore never{0};
  started first{ready, order(never), "order"};
  const auto open = [](semaphore& s) -> task<void> {
    co_await with_scope([&](scope& children) -> task<void> {
      children.spawn(reserve(s), "child");
      co_return;
    });
  };
  started second{ready, open(never), "opener"};
  ready.run_all();
  ASSERT_TRUE(waited_for(never, 2));
  const std::vector<suspended_task> all = suspended_tasks();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].wait.name, "order");
  ASSERT_EQ(steps_of(all[0].trace).size(), 2U);
  EXPECT_EQ(steps_of(all[0].trace)[0].function, "reserve");
  EXPECT_EQ(steps_of(all[0].trace)[1].function, "order");
  for (const suspended_task& each : all) {
    if (each.wait.name == "child") EXPECT_EQ(steps_of(each.trace).size(), 1U) << "a child is a task of its own";
    if (each.wait.name == "opener") {
      const std::vector<step> steps = steps_of(each.trace);
      ASSERT_EQ(steps.size(), 2U);
      EXPECT_EQ(steps[0].function, "with_scope");
      EXPECT_EQ(steps[1].function, "lambda");
    }
  }
  never.release(2);
  ready.run_all();
  EXPECT_TRUE(first.has_ended() && second.has_ended());
  EXPECT_TRUE(suspended_tasks().empty());
}

TEST(trace, of_all_tasks_can_be_printed) {
  manual_executor ready;
  semaphore never{0, "permits"};
  started whole{ready, order(never), "order"};
  ready.run_all();
  ASSERT_TRUE(waited_for(never));
  const std::string text = dump_tasks();
  EXPECT_NE(text.find("'order' waits for semaphore 'permits' since "), std::string::npos) << text;
  EXPECT_NE(text.find("\n      heddle/task/trace.test.cpp:"), std::string::npos) << text;
  EXPECT_NE(text.find(" (reserve)\n"), std::string::npos) << text;
  EXPECT_NE(text.find(" (order)\n"), std::string::npos) << text;
  never.release();
  ready.run_all();
  EXPECT_EQ(dump_tasks(), "");
}

TEST(trace, of_a_deep_chain_is_cut) {
  const auto deep = [](auto self, int left) -> task<std::size_t> {
    if (left == 0) co_return (co_await this_task::trace()).places.size();
    co_return co_await self(self, left - 1);
  };
  EXPECT_EQ(sync_wait(deep(deep, 10)), 11U);
  EXPECT_EQ(sync_wait(deep(deep, 1'000)), 64U);
}

TEST(trace, may_be_taken_while_tasks_come_and_go) {
  std::atomic<bool> done{false};
  std::thread reader{[&] {
    while (!done) {
      for (const suspended_task& each : suspended_tasks()) (void)each.trace.text();
    }
  }};
  const auto ping = [](semaphore& mine, semaphore& theirs, int rounds) -> task<void> {
    for (int i = 0; i < rounds; ++i) {
      co_await reserve(mine);
      theirs.release();
    }
  };
  const auto both = [](auto play) -> task<void> {
    semaphore one{1};
    semaphore two{0};
    co_await with_scope([&](scope& children) -> task<void> {
      children.spawn(play(one, two, 2'000));
      children.spawn(play(two, one, 2'000));
      co_return;
    });
  };
  sync_wait(both(ping));
  done = true;
  reader.join();
}

TEST(trace, a_future_is_awaited_where_the_task_says_so) {
  manual_executor ready;
  promise<int> later;
  constexpr unsigned line = __LINE__ + 1;
  const auto wait = [](future<int> f) -> task<int> { co_return co_await std::move(f); };
  started whole{ready, wait(later.get_future())};
  ready.run_all();
  const std::vector<suspended_task> all = suspended_tasks();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].wait.site, "heddle/task/trace.test.cpp:" + std::to_string(line));
  later.set_value(1);
  ready.run_all();
  EXPECT_TRUE(whole.has_ended());
}

}  // namespace
}  // namespace heddle
