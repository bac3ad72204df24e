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

}  // namespace
}  // namespace heddle::park
