#include <heddle/park/foreign_wait.hpp>

#include <gtest/gtest.h>
#include <tests/support/waiting.hpp>

namespace heddle::park {
namespace {

TEST(foreign_wait, is_seen_while_it_lives) {
  const int elsewhere = 0;
  std::atomic<std::uint32_t> owner{7U << 1U};
  const resource what{resource_kind::mutex, &elsewhere, origin{"elsewhere"}, true, &owner, 1};
  const deadline until = deadline::after(std::chrono::hours{1});
  {
    const foreign_wait shown{what, until, std::source_location::current()};
    const auto seen = test::waits_for(&elsewhere);
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen.front().agent, current_agent().id());
    EXPECT_EQ(seen.front().resource_name, "elsewhere");
    EXPECT_EQ(seen.front().holder, 7U);
    EXPECT_EQ(seen.front().until, until.time());
  }
  EXPECT_TRUE(test::waits_for(&elsewhere).empty());
}

TEST(foreign_wait, keeps_its_age_over_a_pause) {
  const int elsewhere = 0;
  const resource what = resource::of(resource_kind::mutex, &elsewhere, "elsewhere");
  foreign_wait shown{what, {}, std::source_location::current()};
  const auto before = test::waits_for(&elsewhere);
  const deadline until = deadline::after(std::chrono::milliseconds{1});
  shown.pause(until);
  EXPECT_TRUE(until.has_passed());
  const auto after = test::waits_for(&elsewhere);
  ASSERT_EQ(before.size(), 1U);
  ASSERT_EQ(after.size(), 1U);
  EXPECT_EQ(before.front().since, after.front().since);
}

}  // namespace
}  // namespace heddle::park
