// Waiting for a condition until something holds, with whichever lock: what a stop and a deadline do to it.
#include <gtest/gtest.h>
#include <heddle/sync/condition_variable.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/recursive_mutex.hpp>
#include <heddle/sync/shared_mutex.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <stop_token>
#include <thread>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::waited_for;

template <class Lock>
class condition_predicate : public testing::Test {
 public:
  using lockable = typename Lock::mutex_type;
};

using locks = testing::Types<std::unique_lock<mutex>, std::unique_lock<recursive_mutex>, std::unique_lock<shared_mutex>,
                             std::shared_lock<shared_mutex>, std::unique_lock<std::mutex>>;
TYPED_TEST_SUITE(condition_predicate, locks);

constexpr auto never_true = [] { return false; };
constexpr auto always_true = [] { return true; };

TYPED_TEST(condition_predicate, is_what_counts_when_it_is_too_late_to_wait) {
  typename TestFixture::lockable m;
  condition_variable c;
  std::stop_source stopped;
  stopped.request_stop();
  const std::stop_source running;
  TypeParam lock{m};
  EXPECT_FALSE(c.wait_until(lock, never_true, deadline::never(), stopped.get_token()));
  EXPECT_TRUE(c.wait_until(lock, always_true, deadline::never(), stopped.get_token()));
  EXPECT_FALSE(c.wait_for(lock, never_true, 1h, stopped.get_token()));
  EXPECT_TRUE(c.wait_for(lock, always_true, 1h, stopped.get_token()));
  EXPECT_FALSE(c.wait_for(lock, never_true, -1h, running.get_token()));
  EXPECT_TRUE(c.wait_for(lock, always_true, -1h, running.get_token()));
  EXPECT_TRUE(c.wait_for(lock, always_true, 1h, running.get_token()));
  EXPECT_TRUE(lock.owns_lock());
}

TYPED_TEST(condition_predicate, that_never_holds_ends_with_the_deadline) {
  typename TestFixture::lockable m;
  condition_variable c;
  const std::stop_source running;
  TypeParam lock{m};
  const deadline until = deadline::after(3ms);
  EXPECT_FALSE(c.wait_until(lock, never_true, until, running.get_token()));
  EXPECT_TRUE(until.has_passed());
  EXPECT_TRUE(lock.owns_lock());
}

TYPED_TEST(condition_predicate, that_comes_to_hold_ends_the_wait) {
  typename TestFixture::lockable m;
  condition_variable c;
  const std::stop_source running;
  bool flag = false;
  TypeParam lock{m};
  const std::jthread setter{[&] {
    EXPECT_TRUE(waited_for(c));
    {
      const std::lock_guard held{m};
      flag = true;
    }
    c.notify_all();
  }};
  EXPECT_TRUE(c.wait_for(lock, [&] { return flag; }, 1h, running.get_token()));
  EXPECT_TRUE(lock.owns_lock());
}

TYPED_TEST(condition_predicate, a_stop_ends_the_wait_beside_notifications_in_vain) {
  typename TestFixture::lockable m;
  condition_variable c;
  std::stop_source stop;
  std::atomic<bool> done{false};
  const std::jthread other{[&] {
    EXPECT_TRUE(waited_for(c));
    stop.request_stop();
    while (!done) {
      c.notify_all();
      std::this_thread::yield();
    }
  }};
  TypeParam lock{m};
  EXPECT_FALSE(c.wait_until(lock, never_true, deadline::never(), stop.get_token()));
  done = true;
  EXPECT_TRUE(lock.owns_lock());
}

TYPED_TEST(condition_predicate, a_stop_between_the_question_and_the_wait_is_not_lost) {
  typename TestFixture::lockable m;
  condition_variable c;
  std::stop_source stop;
  std::atomic<bool> asked{false};
  std::atomic<bool> stopped{false};
  const std::jthread stopper{[&] {
    EXPECT_TRUE(eventually([&] { return asked.load(); }));
    stop.request_stop();
    stopped = true;
  }};
  TypeParam lock{m};
  const auto ask = [&] {
    asked = true;
    EXPECT_TRUE(eventually([&] { return stopped.load(); }));
    return false;
  };
  EXPECT_FALSE(c.wait_until(lock, ask, deadline::never(), stop.get_token()));
  EXPECT_TRUE(lock.owns_lock());
}

// Its destructor stops the thread and joins it, while the thread waits or is about to.
TYPED_TEST(condition_predicate, a_thread_that_waits_with_its_own_token_can_be_joined) {
  for (int i = 0; i < 200; ++i) {
    typename TestFixture::lockable m;
    condition_variable c;
    const std::jthread worker{[&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        TypeParam lock{m};
        (void)c.wait_until(lock, never_true, deadline::never(), stop);
      }
    }};
    if (i % 2 == 0) EXPECT_TRUE(waited_for(c));
  }
}

TYPED_TEST(condition_predicate, what_it_throws_arrives_with_the_lock_held) {
  typename TestFixture::lockable m;
  condition_variable c;
  const std::stop_source running;
  TypeParam lock{m};
  const auto fails = []() -> bool { throw 5; };
  EXPECT_THROW((void)c.wait_until(lock, fails, deadline::never(), running.get_token()), int);
  EXPECT_THROW((void)c.wait_for(lock, fails, 1h, running.get_token()), int);
  EXPECT_TRUE(lock.owns_lock());
}

}  // namespace
}  // namespace heddle
