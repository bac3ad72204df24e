#include <heddle/sync/guarded.hpp>
#include <heddle/sync/shared_mutex.hpp>

#include <gtest/gtest.h>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace heddle {
namespace {

using test::eventually;
using test::loop_thread;
using test::started;

/// A lock that says whether it is held.
class HEDDLE_THREAD_SAFETY(capability("lock")) told_lock {
 public:
  explicit told_lock(std::source_location = std::source_location::current()) {}
  void lock(std::source_location = std::source_location::current()) HEDDLE_THREAD_SAFETY(acquire_capability()) {
    ++held;
  }
  void unlock() HEDDLE_THREAD_SAFETY(release_capability()) { --held; }
  static inline int held = 0;
};

TEST(guarded, every_access_holds_the_lock) {
  guarded<int, told_lock> value{1};
  EXPECT_EQ(value.with([](int& v) { return told_lock::held * 10 + v; }), 11);
  EXPECT_EQ(told_lock::held, 0);
  {
    auto access = value.lock();
    EXPECT_EQ(told_lock::held, 1);
    *access = 2;
    const auto moved = std::move(access);
    EXPECT_EQ(told_lock::held, 1);
  }
  EXPECT_EQ(told_lock::held, 0);
  EXPECT_EQ(*value.lock(), 2);
}

TEST(guarded, with_lets_go_when_the_function_throws) {
  guarded<int> value{7};
  EXPECT_THROW(value.with([](int&) { throw std::runtime_error{"no"}; }), std::runtime_error);
  EXPECT_EQ(value.with([](int& v) { return v; }), 7);
  std::jthread{[&] { EXPECT_EQ(*value.lock(), 7); }}.join();
}

TEST(guarded, with_returns_what_the_function_returns) {
  guarded<std::map<std::string, int>> stock{{{"loom", 3}}};
  EXPECT_EQ(stock.with([](auto& s) { return s.at("loom"); }), 3);
  const std::unique_ptr<int> moved = stock.with([](auto& s) { return std::make_unique<int>(s["loom"]); });
  EXPECT_EQ(*moved, 3);
  static_assert(std::is_void_v<decltype(stock.with([](auto&) {}))>);
}

TEST(guarded, threads_and_tasks_share_the_value) {
  constexpr int rounds = 2'000;
  guarded<int> count{0};
  const auto count_up = [](guarded<int>& shared) -> task<void> {
    for (int i = 0; i < rounds; ++i) {
      const auto value = co_await shared.async_lock();
      ++*value;
    }
  };
  loop_thread loop;
  std::vector<started<void>> tasks;
  for (int i = 0; i < 2; ++i) tasks.emplace_back(loop.where(), count_up(count));
  {
    const std::jthread thread{[&] {
      for (int i = 0; i < rounds; ++i) count.with([](int& value) { ++value; });
    }};
    for (int i = 0; i < rounds; ++i) ++*count.lock();
  }
  for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  EXPECT_EQ(*count.lock(), 4 * rounds);
}

TEST(guarded, a_stopped_task_does_not_get_the_value) {
  guarded<int> value{0, "the value"};
  bool reached = false;
  const auto touch = [](guarded<int>& shared, bool& got) -> task<void> {
    const auto access = co_await shared.async_lock();
    got = true;
  };
  loop_thread loop;
  auto mine = std::make_unique<guarded<int>::guard>(value.lock());
  started task{loop.where(), touch(value, reached)};
  ASSERT_TRUE(eventually([] { return test::waits_named("the value").size() == 1; }));
  task.stop();
  ASSERT_TRUE(task.ends());
  EXPECT_TRUE(task.was_stopped());
  EXPECT_FALSE(reached);
  mine.reset();
  EXPECT_EQ(*value.lock(), 0);
}

TEST(guarded, is_made_in_place) {
  struct pinned {
    explicit pinned(int a, int b) : sum{a + b} {}
    pinned(const pinned&) = delete;
    pinned& operator=(const pinned&) = delete;
    int sum;
  };
  guarded<pinned> value{std::in_place, 2, 3};
  EXPECT_EQ(value.lock()->sum, 5);
}

TEST(guarded, its_lock_is_called_after_the_place_where_it_is_made) {
  const std::uint32_t here = std::source_location::current().line();
  guarded<int> value{0};
  const std::string place = "heddle/sync/guarded.test.cpp:" + std::to_string(here + 1);
  auto mine = std::make_unique<guarded<int>::guard>(value.lock());
  const std::jthread waiter{[&] { value.with([](int&) {}); }};
  EXPECT_TRUE(eventually([&] { return test::waits_named(place).size() == 1; }));
  for (const park::wait_info& wait : test::waits_named(place)) {
    EXPECT_EQ(wait.holder, current_agent().id());
    EXPECT_EQ(wait.site.find("heddle/sync/guarded.test.cpp:"), 0U);
  }
  mine.reset();
}

TEST(guarded, readers_get_the_value_together) {
  guarded<std::vector<int>, shared_mutex> numbers{std::vector{1, 2, 3}, "numbers"};
  const auto& seen_from_outside = numbers;
  const auto first = seen_from_outside.read_lock();
  test::loop_thread loop;
  const auto sum = [](const guarded<std::vector<int>, shared_mutex>& shared) -> task<int> {
    const auto held = co_await shared.async_read_lock();
    co_return std::accumulate(held->begin(), held->end(), 0);
  };
  test::started<int> second{loop.where(), sum(numbers)};
  ASSERT_TRUE(second.ends());
  EXPECT_EQ(second.value(), 6);
  std::size_t size = 0;
  std::thread{[&] { size = seen_from_outside.read([](const std::vector<int>& v) { return v.size(); }); }}.join();
  EXPECT_EQ(size, 3U);
}

TEST(guarded, a_writer_has_the_value_alone) {
  guarded<int, shared_mutex> count{0};
  constexpr int rounds = 500;
  const auto count_up = [](guarded<int, shared_mutex>& shared) -> task<void> {
    for (int i = 0; i < rounds; ++i) ++*co_await shared.async_lock();
  };
  test::loop_thread loop;
  const test::started<void> counts{loop.where(), count_up(count)};
  for (int i = 0; i < rounds; ++i) count.write([](int& n) { ++n; });
  ASSERT_TRUE(counts.ends());
  EXPECT_EQ(count.read([](int n) { return n; }), 2 * rounds);
}

}  // namespace
}  // namespace heddle
