#include <heddle/watch/livelock.hpp>

#include <heddle/park/agent.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace heddle::watch {
namespace {

class livelock : public testing::Test {
 protected:
  livelock() {
    settings wanted;
    wanted.log = false;
    wanted.livelock_after = 20;
    configure(wanted);
  }
  ~livelock() override { configure(settings::from_environment()); }

  std::vector<report> found_;
  subscription subscription_ = on_report([this](const report& r) {
    if (r.what == problem::livelock) found_.push_back(r);
  });
};

TEST_F(livelock, is_told_once_with_all_who_fail) {
  (void)current_agent().id();  // else this thread would inherit the other one's
  std::thread{[] { attempts_without_progress(origin{"two forks"}, true, 16); }}.join();
  EXPECT_TRUE(found_.empty());
  for (unsigned i = 16; i < 100; i += 4) attempts_without_progress(origin{"two forks"}, true, i);
  ASSERT_EQ(found_.size(), 1U);
  const report& told = found_.front();
  EXPECT_EQ(told.how_sure, confidence::possible);
  EXPECT_NE(told.sentence.find("at 'two forks', up to 20 times"), std::string::npos) << told.sentence;
  EXPECT_EQ(told.details.size(), 2U) << told.text();
}

TEST_F(livelock, few_attempts_are_nothing) {
  for (unsigned i = 0; i < 20; ++i) attempts_without_progress(origin{"one fork"}, true, i);
  EXPECT_TRUE(found_.empty());
}

TEST_F(livelock, places_are_told_apart) {
  const auto here = std::source_location::current();
  attempts_without_progress(origin{here}, false, 30);
  attempts_without_progress(origin{"elsewhere"}, true, 30);
  ASSERT_EQ(found_.size(), 2U);
  EXPECT_NE(found_[0].sentence.find("livelock.test.cpp:" + std::to_string(here.line())), std::string::npos);
}

}  // namespace
}  // namespace heddle::watch
