#include <heddle/task/generator.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/this_task.hpp>
#include <heddle/task/trace.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace heddle {
namespace {

generator<int> count_to(int last) {
  for (int i = 1; i <= last; ++i) co_yield i;
}

task<int> sum_of(generator<int> numbers) {
  int sum = 0;
  while (const std::optional<int> next = co_await numbers.next()) sum += *next;
  EXPECT_FALSE(co_await numbers.next()) << "nothing more comes";
  co_return sum;
}

TEST(generator, gives_its_values_then_nothing) {
  EXPECT_EQ(sync_wait(sum_of(count_to(4))), 10);
  EXPECT_EQ(sync_wait(sum_of(count_to(0))), 0);
  EXPECT_EQ(sync_wait(sum_of(count_to(50'000))), 1'250'025'000) << "and the stack does not grow";
}

TEST(generator, nothing_runs_before_the_first_next) {
  bool ran = false;
  const auto make = [](bool& seen) -> generator<int> {
    seen = true;
    co_yield 1;
  };
  {
    const generator<int> dropped = make(ran);
  }
  EXPECT_FALSE(ran);
}

TEST(generator, may_wait_between_values) {
  test::manual_executor ready;
  semaphore go{0};
  const auto slow = [](semaphore& s) -> generator<int> {
    for (int i = 0; i < 3; ++i) {
      (void)co_await s.async_acquire();
      co_yield i;
    }
  };
  std::vector<int> got;
  const auto read = [](generator<int> source, std::vector<int>& to) -> task<void> {
    while (const auto next = co_await source.next()) to.push_back(*next);
  };
  test::started whole{ready, read(slow(go), got)};
  ready.run_all();
  EXPECT_TRUE(test::waited_for(go));
  const std::vector<suspended_task> all = suspended_tasks();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].trace.places.size(), 2U) << "the generator and its reader";
  go.release(3);
  ready.run_all();
  EXPECT_TRUE(whole.has_ended());
  EXPECT_EQ(got, (std::vector{0, 1, 2}));
}

TEST(generator, values_need_not_be_copied) {
  const auto make = []() -> generator<std::unique_ptr<int>> {
    auto kept = std::make_unique<int>(1);
    co_yield std::move(kept);
    co_yield std::make_unique<int>(2);
  };
  const auto read = [](auto source) -> task<int> {
    int sum = 0;
    while (const auto next = co_await source.next()) sum += **next;
    co_return sum;
  };
  EXPECT_EQ(sync_wait(read(make())), 3);
}

TEST(generator, an_exception_reaches_the_awaiter) {
  const auto make = []() -> generator<int> {
    co_yield 1;
    throw std::out_of_range{"no more"};
  };
  const auto read = [](generator<int> source) -> task<std::string> {
    (void)co_await source.next();
    std::string caught;
    try {
      (void)co_await source.next();
    } catch (const std::out_of_range& error) {
      caught = error.what();
    }
    EXPECT_FALSE(co_await source.next());
    co_return caught;
  };
  EXPECT_EQ(sync_wait(read(make())), "no more");
}

TEST(generator, a_stop_unwinds_it_and_whoever_awaits) {
  test::manual_executor ready;
  semaphore never{0};
  std::string order;
  struct noted {
    std::string& to;
    char letter;
    ~noted() { to += letter; }
  };
  const auto make = [](semaphore& s, std::string& to) -> generator<int> {
    const noted last{to, 'g'};
    co_yield 1;
    (void)co_await s.async_acquire();
  };
  const auto read = [](auto start, semaphore& s, std::string& to) -> task<void> {
    const noted last{to, 'r'};
    generator<int> source = start(s, to);
    while (co_await source.next()) {
    }
    to += '!';
  };
  test::started whole{ready, read(make, never, order)};
  ready.run_all();
  ASSERT_TRUE(test::waited_for(never));
  whole.stop();
  ready.run_all();
  ASSERT_TRUE(whole.was_stopped());
  EXPECT_EQ(order, "gr");
}

TEST(generator, may_be_left_before_its_end) {
  bool destroyed = false;
  struct noted {
    bool& to;
    ~noted() { to = true; }
  };
  const auto make = [](bool& to) -> generator<int> {
    const noted last{to};
    for (int i = 0;; ++i) co_yield i;
  };
  const auto read = [](generator<int> source) -> task<int> {
    co_return *co_await source.next() + *co_await source.next();
  };
  EXPECT_EQ(sync_wait(read(make(destroyed))), 1);
  EXPECT_TRUE(destroyed);
}

TEST(generator, may_be_made_of_others) {
  const auto doubled = [](generator<int> source) -> generator<int> {
    while (const auto next = co_await source.next()) {
      co_yield *next;
      co_yield *next;
    }
  };
  EXPECT_EQ(sync_wait(sum_of(doubled(doubled(count_to(3))))), 24);
}

TEST(generator, can_be_moved_between_values) {
  const auto read = [](generator<int> first) -> task<int> {
    int sum = *co_await first.next();
    generator<int> second = std::move(first);
    sum += *co_await second.next();
    co_return sum;
  };
  EXPECT_EQ(sync_wait(read(count_to(5))), 3);
}

}  // namespace
}  // namespace heddle
