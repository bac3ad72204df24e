#include <heddle/base/deadline.hpp>

#include <gtest/gtest.h>

#include <chrono>

namespace heddle {
namespace {

using namespace std::chrono_literals;

TEST(deadline, never_does_not_pass) {
  EXPECT_TRUE(deadline{}.is_never());
  EXPECT_FALSE(deadline::never().has_passed());
  EXPECT_EQ(deadline::never().left(), std::chrono::nanoseconds::max());
}

TEST(deadline, a_wait_too_long_to_represent_is_never) {
  EXPECT_TRUE(deadline::after(std::chrono::hours{24 * 365 * 1000}).is_never());
  EXPECT_TRUE(deadline::after(std::chrono::nanoseconds::max()).is_never());
}

TEST(deadline, a_negative_wait_has_passed) {
  EXPECT_TRUE(deadline::after(-1s).has_passed());
  EXPECT_EQ(deadline::after(-1s).left(), 0ns);
  EXPECT_TRUE(deadline::after(std::chrono::hours{-24 * 365 * 1000}).has_passed());
}

TEST(deadline, a_moment_of_another_clock_may_be_as_far_away_as_it_likes) {
  using std::chrono::system_clock;
  const auto left = deadline::at(system_clock::now() + 1h).left();
  EXPECT_GT(left, 59min);
  EXPECT_LE(left, 1h);
  EXPECT_TRUE(deadline::at(system_clock::now() - 1h).has_passed());
  const auto when = deadline::clock::now() + 1h;
  EXPECT_GE(deadline::at(when).time(), when - 1ms);
  EXPECT_TRUE(deadline::at(system_clock::time_point::min()).has_passed());
  EXPECT_TRUE(deadline::at(deadline::clock::time_point::min()).has_passed());
  EXPECT_TRUE(deadline::at(std::chrono::sys_time<std::chrono::hours>::min()).has_passed());
  EXPECT_TRUE(deadline::at(std::chrono::sys_time<std::chrono::hours>::max()).is_never());
  EXPECT_GT(deadline::at(system_clock::time_point::max()).left(), 24h * 365 * 100);
  EXPECT_TRUE(deadline::at(std::chrono::sys_time<std::chrono::duration<double>>::max()).is_never());
}

TEST(deadline, is_ordered_by_time_with_never_last) {
  const deadline soon = deadline::after(1s);
  const deadline later = deadline::after(1h);
  EXPECT_LT(soon, later);
  EXPECT_LT(later, deadline::never());
}

TEST(deadline, keeps_the_time_point_it_was_made_from) {
  const auto when = deadline::clock::now() + 3s;
  EXPECT_EQ(deadline{when}.time(), when);
  EXPECT_EQ(deadline::at_ns(when.time_since_epoch().count()), deadline{when});
}

}  // namespace
}  // namespace heddle
