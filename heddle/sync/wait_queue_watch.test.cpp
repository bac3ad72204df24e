// What is built on a wait_queue is in the picture as what it is.

#include <heddle/sync/wait_queue.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/latch.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>
#include <tests/support/no_deadlocks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>

namespace heddle {
namespace {

using test::eventually;
using test::waited_for;

/// A lock on a wait_queue: only to show that it is seen as one.
class plain_lock {
 public:
  void lock() {
    waiters_.wait([this] { return take(); });
    note();
  }
  [[nodiscard]] std::expected<void, wait_error> lock_until(deadline until) {
    const auto taken = waiters_.wait_until([this] { return take(); }, until);
    if (taken) note();
    return taken;
  }
  void unlock() {
    waiters_.wake_one([this] { holder_ = 0; });
    current_agent().no_longer_holds(this);
  }

 private:
  bool take() {
    if (holder_ != 0) return false;
    holder_ = current_agent().id();
    return true;
  }
  void note() {
    current_agent().now_holds(
        this, {resource_kind::mutex, origin{"a plain lock"}, true, park::hold_mode::exclusive, false}, nullptr);
  }

  std::atomic<std::uint32_t> holder_{0};  // written under waiters_' lock
  wait_queue waiters_{"a plain lock", resource_kind::mutex, {.word = &holder_, .shift = 0}};
};

TEST(wait_queue, a_deadlock_of_two_locks_built_on_it_is_found_and_can_be_broken) {
  const test::makes_deadlocks deliberate;
  watch::settings wanted;
  wanted.on_deadlock = watch::policy::break_it;
  wanted.log = false;
  watch::configure(wanted);
  std::atomic<int> found{0};
  plain_lock left;
  plain_lock right;
  latch both{2};
  std::expected<void, wait_error> broken;
  {
    const watch::subscription reports = watch::on_report([&](const watch::report& each) {
      if (each.what == watch::problem::deadlock && each.how_sure == watch::confidence::certain) ++found;
    });
    const std::jthread one{[&] {
      const std::lock_guard held{left};
      both.arrive_and_wait();
      const std::lock_guard wanted_too{right};
    }};
    const std::jthread other{[&] {
      const std::lock_guard held{right};
      both.arrive_and_wait();
      broken = left.lock_until(deadline::never());  // the one that can say so
    }};
  }
  watch::configure(watch::settings::from_environment());
  EXPECT_EQ(found, 1);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error(), wait_error::deadlock);
}

TEST(wait_queue, a_lock_built_on_it_names_its_holder) {
  plain_lock lock;
  lock.lock();
  const std::jthread other{[&] {
    lock.lock();
    lock.unlock();
  }};
  ASSERT_TRUE(eventually([] { return test::waits_named("a plain lock").size() == 1; }));
  const park::wait_info wait = test::waits_named("a plain lock").front();
  EXPECT_EQ(wait.holder, current_agent().id());
  EXPECT_EQ(wait.waits_for, resource_kind::mutex);
  lock.unlock();
}

TEST(wait_queue, is_called_after_its_place_if_it_has_no_name) {
  constinit static wait_queue unnamed;
  bool open = false;
  const std::jthread waiter{[&] { unnamed.wait([&] { return open; }); }};
  ASSERT_TRUE(waited_for(unnamed));
  const park::wait_info wait = test::waits_for(&unnamed).front();
  EXPECT_NE(wait.resource_name.find("wait_queue_watch.test.cpp:"), std::string::npos);
  EXPECT_NE(wait.site.find("wait_queue_watch.test.cpp:"), std::string::npos);
  EXPECT_EQ(wait.waits_for, resource_kind::other);
  unnamed.wake_all([&] { open = true; });
}

}  // namespace
}  // namespace heddle
