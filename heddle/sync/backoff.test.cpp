#include <heddle/sync/backoff.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace {

using namespace heddle;
using namespace std::chrono_literals;

std::vector<std::chrono::nanoseconds> draw(backoff_options options, int count) {
  backoff pauses{options};
  std::vector<std::chrono::nanoseconds> drawn;
  for (int i = 0; i < count; ++i) drawn.push_back(pauses.next().value());
  return drawn;
}

TEST(backoff, pauses_stay_below_a_doubling_ceiling) {
  std::chrono::nanoseconds largest[6] = {};
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    const auto drawn = draw({.first = 1ms, .most = 10ms, .attempts = 0, .seed = seed}, 6);
    const std::chrono::nanoseconds ceilings[6] = {1ms, 2ms, 4ms, 8ms, 10ms, 10ms};
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_GE(drawn[i], 0ns);
      EXPECT_LE(drawn[i], ceilings[i]);
      largest[i] = std::max(largest[i], drawn[i]);
      if (seed == 500) {
        EXPECT_GT(largest[i], ceilings[i] * 9 / 10) << "jitter is not full at pause " << i;
      }
    }
  }
}

TEST(backoff, the_same_seed_gives_the_same_pauses) {
  EXPECT_EQ(draw({.attempts = 0, .seed = 7}, 20), draw({.attempts = 0, .seed = 7}, 20));
  EXPECT_NE(draw({.attempts = 0, .seed = 7}, 20), draw({.attempts = 0, .seed = 8}, 20));
  EXPECT_NE(draw({.attempts = 0}, 20), draw({.attempts = 0}, 20));
}

TEST(backoff, ends_after_the_allowed_attempts) {
  backoff pauses{{.attempts = 3}};
  EXPECT_TRUE(pauses.next());
  EXPECT_TRUE(pauses.next());
  EXPECT_FALSE(pauses.next());
  EXPECT_EQ(pauses.attempts(), 3U);
  pauses.reset();
  EXPECT_TRUE(pauses.next());
  EXPECT_EQ(pauses.attempts(), 1U);
}

}  // namespace
