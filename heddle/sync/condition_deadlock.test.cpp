#include <heddle/sync/condition_variable.hpp>

#include <gtest/gtest.h>
#include <heddle/watch/waits.hpp>
#include <tests/support/no_deadlocks.hpp>
#include <tests/support/waiting.hpp>

#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using test::eventually;
using test::waited_for;

// The waiter holds a second mutex, which the one who notifies wants before it lets go of the first.
TEST(condition_deadlock, one_behind_a_notification_is_found) {
  const test::makes_deadlocks deliberate;
  mutex first{"first"};
  mutex second{"second"};
  condition_variable c;
  std::stop_source stop;
  std::jthread waiter{[&] {
    const std::lock_guard outer{second};
    std::unique_lock lock{first};
    c.wait(lock);
  }};
  ASSERT_TRUE(waited_for(c));
  std::jthread notifier{[&] {
    const std::lock_guard lock{first};
    c.notify_one();
    EXPECT_EQ(second.lock_until(deadline::never(), stop.get_token()).error(), wait_error::stopped);
  }};
  ASSERT_TRUE(waited_for(second));
  std::vector<watch::report> found;
  EXPECT_TRUE(eventually([&] {
    found = watch::waits().deadlocks;
    return !found.empty();
  }));
  if (!found.empty()) {
    EXPECT_EQ(found.front().edges.size(), 2U);
    EXPECT_EQ(found.front().how_sure, watch::confidence::certain);
    EXPECT_NE(found.front().sentence.find("mutex 'first'"), std::string::npos) << found.front().sentence;
    EXPECT_NE(found.front().sentence.find("mutex 'second'"), std::string::npos) << found.front().sentence;
  }
  stop.request_stop();
}

}  // namespace
}  // namespace heddle
