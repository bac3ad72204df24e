#pragma once

#include <gtest/gtest.h>

namespace heddle::test {

/// For death tests: each runs in a process of its own, started afresh, because others' threads would be missing in a
/// mere copy. Use: `using mutex_misuse = test::misuse;` and TEST_F.
class misuse : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

}  // namespace heddle::test
