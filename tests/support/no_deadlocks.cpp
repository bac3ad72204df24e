// Linked into the tests of every module that can wait: a test fails if watch reports a deadlock while it runs, unless it
// has said that it makes one.

#include <heddle/watch/report.hpp>
#include <tests/support/no_deadlocks.hpp>

#include <gtest/gtest.h>

#include <atomic>

namespace heddle::test {
namespace {

std::atomic<int> expected{0};

class no_deadlocks final : public testing::Environment {
 public:
  void SetUp() override {
    subscription_ = watch::on_report([](const watch::report& each) {
      if (each.what != watch::problem::deadlock || each.how_sure != watch::confidence::certain) return;
      if (each.until || expected != 0) return;
      ADD_FAILURE() << "a deadlock is reported, and this test has not said that it makes one:\n" << each.text();
    });
  }
  void TearDown() override { subscription_ = {}; }

 private:
  watch::subscription subscription_;
};

[[maybe_unused]] const testing::Environment* const installed = testing::AddGlobalTestEnvironment(new no_deadlocks);

}  // namespace

makes_deadlocks::makes_deadlocks() { ++expected; }
makes_deadlocks::~makes_deadlocks() { --expected; }

}  // namespace heddle::test
