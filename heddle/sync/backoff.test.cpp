#include <heddle/sync/backoff.hpp>

#include <gtest/gtest.h>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>

#include <chrono>
#include <source_location>
#include <string>
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

TEST(backoff, a_copy_goes_on_with_the_same_pauses) {
  backoff pauses{{.attempts = 0}};
  for (int i = 0; i < 3; ++i) (void)pauses.next();
  backoff copy = pauses;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(copy.next(), pauses.next());
  EXPECT_EQ(copy.attempts(), 13U);
}

// Livelocks that are reported while it lives.
class reports {
 public:
  reports() {
    watch::settings wanted;
    wanted.log = false;
    watch::configure(wanted);
  }
  reports(const reports&) = delete;
  reports& operator=(const reports&) = delete;
  ~reports() { watch::configure(watch::settings::from_environment()); }
  [[nodiscard]] const std::vector<std::string>& sentences() const { return sentences_; }

 private:
  std::vector<std::string> sentences_;
  watch::subscription subscription_ = watch::on_report([this](const watch::report& r) {
    if (r.what == watch::problem::livelock) sentences_.push_back(r.sentence);
  });
};

TEST(backoff, many_attempts_in_a_row_are_reported_by_name_or_place) {
  const reports told;
  backoff named{"the last seat", {.attempts = 0}};
  backoff placed{{.attempts = 0}};
  const auto line = std::source_location::current().line() - 1;
  for (int i = 0; i < 96; ++i) {
    (void)named.next();
    (void)placed.next();
  }
  EXPECT_TRUE(told.sentences().empty()) << "that many may be bad luck";
  for (int i = 0; i < 32; ++i) {
    (void)named.next();
    (void)placed.next();
  }
  ASSERT_EQ(told.sentences().size(), 2U);
  EXPECT_NE(told.sentences()[0].find("the last seat"), std::string::npos) << told.sentences()[0];
  EXPECT_NE(told.sentences()[1].find("backoff.test.cpp:" + std::to_string(line)), std::string::npos)
      << told.sentences()[1];
}

TEST(backoff, attempts_between_which_something_was_achieved_are_not_reported) {
  const reports told;
  backoff lucky{"lucky", {.attempts = 0}};
  for (int i = 1; i < 1'000; ++i) {
    (void)lucky.next();
    if (i % 50 == 0) lucky.reset();
  }
  EXPECT_TRUE(told.sentences().empty());
}

}  // namespace
