#include <heddle/park/executor_scope.hpp>

#include <heddle/park/agent.hpp>
#include <heddle/park/internal/running.hpp>
#include <heddle/task/run_loop.hpp>
#include <tests/support/waiting.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <utility>

namespace heddle {
namespace {

struct calling final : work_item {
  explicit calling(std::function<void()> f) : function{std::move(f)} {
    run = [](work_item* item) noexcept { static_cast<calling*>(item)->function(); };
  }
  std::function<void()> function;
};

/// What this thread is in the middle of.
std::vector<running_threads::one> of_this_thread() {
  std::vector<running_threads::one> all = running_threads::busy();
  std::erase_if(all, [](const auto& each) { return each.thread != static_cast<std::uint32_t>(gettid()); });
  return all;
}

TEST(executor_scope, the_thread_belongs_to_the_executor_while_it_lives) {
  run_loop loop{"a loop"};
  {
    const executor_scope here{loop};
    EXPECT_EQ(thread_agent().runs_on(), &loop);
  }
  EXPECT_EQ(thread_agent().runs_on(), nullptr);
}

TEST(executor_scope, an_item_is_seen_while_it_runs) {
  run_loop loop{"a loop"};
  executor_scope here{loop};
  EXPECT_TRUE(of_this_thread().empty());
  std::uint64_t first = 0;
  calling item{[&] {
    const auto busy = of_this_thread();
    ASSERT_EQ(busy.size(), 1U);
    EXPECT_EQ(busy[0].executor, "a loop");
    EXPECT_EQ(busy[0].where, &loop);
    first = busy[0].items;
  }};
  here.run(&item);
  EXPECT_TRUE(of_this_thread().empty());
  calling another{[&] { EXPECT_NE(of_this_thread().at(0).items, first); }};
  here.run(&another);
}

TEST(executor_scope, a_loop_inside_an_item_counts_instead_of_it) {
  run_loop outer{"outer"};
  run_loop inner{"inner"};
  executor_scope here{outer};
  calling item{[&] {
    {
      executor_scope inside{inner};
      EXPECT_TRUE(of_this_thread().empty());
      calling small{[] { EXPECT_EQ(of_this_thread().at(0).executor, "inner"); }};
      inside.run(&small);
    }
    EXPECT_EQ(of_this_thread().at(0).executor, "outer");
  }};
  here.run(&item);
  EXPECT_TRUE(of_this_thread().empty());
}

}  // namespace
}  // namespace heddle
