#include <storefront/load/histogram.hpp>

#include <gtest/gtest.h>

#include <cstdint>

namespace storefront::load {
namespace {

using namespace std::chrono_literals;

TEST(load_histogram, an_empty_one_has_percentiles_of_zero) {
  EXPECT_EQ(histogram{}.percentile(0.99), 0ns);
  EXPECT_EQ(histogram{}.count(), 0U);
}

TEST(load_histogram, a_percentile_is_within_its_buckets_width) {
  histogram times;
  for (std::int64_t us = 1; us <= 10'000; ++us) times.add(std::chrono::microseconds{us});
  for (const double share : {0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const double exact = share * 10'000'000;
    const auto found = static_cast<double>(times.percentile(share).count());
    EXPECT_GE(found, exact) << share;
    EXPECT_LE(found, exact * (1 + 1.0 / 32)) << share;
  }
  EXPECT_EQ(times.longest(), 10ms);
}

TEST(load_histogram, small_and_huge_values_are_kept) {
  histogram times;
  times.add(-5ns);
  times.add(0ns);
  EXPECT_EQ(times.percentile(1), 0ns);
  times.add(std::chrono::hours{100});
  EXPECT_EQ(times.count(), 3U);
  EXPECT_GT(times.percentile(1), std::chrono::hours{30});
}

TEST(load_histogram, adding_two_gives_what_both_have_seen) {
  histogram left;
  histogram right;
  left.add(1ms);
  right.add(3ms);
  right.add(5ms);
  left.add(right);
  EXPECT_EQ(left.count(), 3U);
  EXPECT_EQ(left.longest(), 5ms);
  EXPECT_NEAR(static_cast<double>(left.percentile(0.5).count()), 3e6, 1e5);
}

}  // namespace
}  // namespace storefront::load
