// The negative control: without one of the library's calls the matching invariant breaks, so the checks can fail.

#include <storefront/run/whole_support.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace storefront::run::test {
namespace {

// In each of five runs, each with its own seed, `figure` is not 0 and the exit code is 1.
void expect_broken(const std::string& unsafe, const std::string& figure, const std::vector<std::string>& more) {
  for (int seed = 1; seed <= 5; ++seed) {
    std::vector<std::string> all{"--once", "--no-tour",          "--port",
                                 "0",      "--clean-seconds",    "0",
                                 "--seed", std::to_string(seed), "--unsafe=" + unsafe};
    all.insert(all.end(), more.begin(), more.end());
    const finished ended = run("storefront-run", all);
    const json figures = ended.figures();
    ASSERT_TRUE(figures.is_object()) << testing::PrintToString(ended.lines);
    EXPECT_EQ(ended.ended.code, 1) << "seed " << seed << ": " << figures;
    EXPECT_GT(figures.at(figure), 0) << "seed " << seed << ": " << figures;
    EXPECT_EQ(figures.at("invariants"), "broken");
    fmt::print("{}, seed {}: {} {}, {} paid orders\n", unsafe, seed, figures.at(figure).dump(), figure,
               figures.at("paid_orders").dump());
  }
}

std::string rate(int plain) { return std::to_string(plain / slowness); }
std::string seconds(int plain) { return std::to_string(slowness == 1 ? plain : 2 * plain); }

TEST(storefront_unsafe, without_the_lock_orders_are_charged_twice) {
  expect_broken("no-lock", "double_charges",
                {"--seconds", seconds(2), "--rate", rate(1'600), "--clients", "200", "--faults", "0"});
}

TEST(storefront_unsafe, without_idempotency_orders_are_charged_twice) {
  expect_broken("no-idempotency", "double_charges",
                {"--seconds", seconds(2), "--rate", rate(1'200), "--clients", "200", "--faults", "40"});
}

TEST(storefront_unsafe, without_versions_more_is_sold_than_there_is) {
  expect_broken("no-version", "oversold",
                {"--seconds", "1", "--rate", rate(1'600), "--clients", "200", "--faults", "0"});
}

}  // namespace
}  // namespace storefront::run::test
