#include <gtest/gtest.h>
#include <heddle/exec/thread_pool.hpp>

#include <atomic>
#include <forward_list>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace heddle;

TEST(bulk, calls_each_index_once) {
  thread_pool pool{{.threads = 3}};
  for (const std::size_t n : {0U, 1U, 2U, 47U, 1'000U}) {
    for (const std::size_t grain : {0U, 1U, 7U, 5'000U}) {
      std::vector<std::atomic<int>> calls(n);
      pool.bulk(n, [&](std::size_t i) { calls[i].fetch_add(1); }, grain);
      for (const auto& each : calls) ASSERT_EQ(each.load(), 1);
    }
  }
}

TEST(bulk, hands_out_ranges_no_longer_than_the_grain) {
  thread_pool pool{{.threads = 2}};
  std::atomic<std::size_t> sum{0};
  std::atomic<std::size_t> longest{0};
  pool.bulk(
      1'000,
      [&](std::size_t from, std::size_t to) {
        sum.fetch_add(to - from);
        std::size_t seen = longest.load();
        while (to - from > seen && !longest.compare_exchange_weak(seen, to - from)) {
        }
      },
      10);
  EXPECT_EQ(sum.load(), 1'000U);
  EXPECT_LE(longest.load(), 10U);
}

TEST(bulk, throws_the_exception_of_the_lowest) {
  thread_pool pool{{.threads = 2}};
  std::atomic<int> calls{0};
  std::string thrown;
  try {
    pool.bulk(
        100,
        [&](std::size_t i) {
          calls.fetch_add(1);
          if (i % 10 == 5) throw std::runtime_error{std::to_string(i)};
        },
        1);
  } catch (const std::runtime_error& e) {
    thrown = e.what();
  }
  EXPECT_EQ(thrown, "5");
  EXPECT_EQ(calls.load(), 100);
}

TEST(bulk, map_keeps_the_order) {
  thread_pool pool{{.threads = 2}};
  const std::forward_list<int> numbers{3, 1, 4, 1, 5, 9, 2, 6};
  EXPECT_EQ(pool.map(numbers, [](int n) { return std::string(static_cast<std::size_t>(n), 'x').size(); }),
            (std::vector<std::size_t>{3, 1, 4, 1, 5, 9, 2, 6}));
  EXPECT_EQ(pool.map(std::vector<int>{1, 2, 3}, [](int n) { return n > 1; }), (std::vector<bool>{false, true, true}));
  EXPECT_TRUE(pool.map(std::vector<int>{}, [](int n) { return n; }).empty());
}

TEST(bulk, nests_and_works_in_a_worker) {
  thread_pool pool{{.threads = 2}};
  std::atomic<int> sum{0};
  pool.submit([&] { pool.bulk(20, [&](std::size_t) { pool.bulk(20, [&](std::size_t) { sum.fetch_add(1); }, 1); }, 1); })
      .get();
  EXPECT_EQ(sum.load(), 400);
}

}  // namespace
