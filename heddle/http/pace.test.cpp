#include <heddle/http/internal/pace.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

namespace {

using namespace std::chrono_literals;
using heddle::deadline;
using heddle::http::internal::pace;

constexpr std::chrono::steady_clock::time_point start{1000s};

TEST(pace, a_silent_peer_has_the_grace_and_no_more) {
  constexpr pace slow{.grace = 5s, .most = 60s, .min_rate = 100};
  EXPECT_EQ(slow.due(start, 0), deadline(start + 5s));
}

TEST(pace, bytes_buy_time_at_the_minimal_rate) {
  constexpr pace slow{.grace = 5s, .most = 60s, .min_rate = 100};
  EXPECT_EQ(slow.due(start, 1), deadline(start + 5s + 10ms));
  EXPECT_EQ(slow.due(start, 1050), deadline(start + 5s + 10'500ms));
}

TEST(pace, no_rate_passes_the_last_moment) {
  constexpr pace slow{.grace = 5s, .most = 60s, .min_rate = 100};
  EXPECT_EQ(slow.due(start, 5500), deadline(start + 60s));
  EXPECT_EQ(slow.due(start, 1'000'000), deadline(start + 60s));
  EXPECT_EQ(slow.due(start, UINT64_MAX), deadline(start + 60s));
}

TEST(pace, without_a_rate_only_the_last_moment_counts) {
  constexpr pace patient{.grace = 5s, .most = 60s, .min_rate = 0};
  EXPECT_EQ(patient.due(start, 0), deadline(start + 60s));
}

}  // namespace
