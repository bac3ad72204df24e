// What every lock promises of waits that end early: by a deadline, by a stop token. By threads; by tasks:
// lockable_tasks.test.cpp.
#include <gtest/gtest.h>
#include <tests/support/lockables.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::has_waiters;

// Runs it as another agent.
template <class Function>
void elsewhere(Function function) {
  std::jthread{std::move(function)}.join();
}

template <class Lock>
void expect_free(Lock& lock) {
  EXPECT_TRUE(lock.waits().empty());
  EXPECT_TRUE(lock.try_lock());
  lock.unlock();
}

template <class Lock>
class timed_lockable : public testing::Test {};

using timed = testing::Types<test::a_mutex, test::a_recursive_mutex, test::a_shared_mutex_to_write, test::a_share,
                             test::a_pi_mutex, test::one_permit, test::a_watched_timed_mutex>;
TYPED_TEST_SUITE(timed_lockable, timed, test::by_name);

TYPED_TEST(timed_lockable, try_lock_fails_without_waiting) {
  TypeParam lock;
  lock.block();
  elsewhere([&] { EXPECT_FALSE(lock.try_lock()); });
  EXPECT_FALSE(lock.waits().size() > 0);
  lock.unblock();
  elsewhere([&] {
    EXPECT_TRUE(lock.try_lock());
    lock.unlock();
  });
  expect_free(lock);
}

TYPED_TEST(timed_lockable, a_free_lock_is_taken_even_late) {
  TypeParam lock;
  EXPECT_TRUE(lock.lock_until(deadline::after(-1s)));
  lock.unlock();
  expect_free(lock);
}

TYPED_TEST(timed_lockable, a_held_lock_is_refused_at_once_when_late) {
  TypeParam lock;
  lock.block();
  elsewhere([&] { EXPECT_EQ(lock.lock_until(deadline::after(-1s)), std::unexpected{wait_error::timeout}); });
  lock.unblock();
  expect_free(lock);
}

TYPED_TEST(timed_lockable, a_timeout_leaves_no_waiter_behind) {
  TypeParam lock;
  lock.block();
  elsewhere([&] {
    const deadline until = deadline::after(5ms);
    EXPECT_EQ(lock.lock_until(until), std::unexpected{wait_error::timeout});
    EXPECT_TRUE(until.has_passed());
  });
  EXPECT_TRUE(lock.waits().empty());
  lock.unblock();
  expect_free(lock);
}

TYPED_TEST(timed_lockable, a_timeout_does_not_strand_the_next) {
  TypeParam lock;
  lock.block();
  std::jthread first{[&] { EXPECT_EQ(lock.lock_until(deadline::after(20ms)), std::unexpected{wait_error::timeout}); }};
  std::atomic<bool> has_it{false};
  const std::jthread next{[&] {
    const std::lock_guard held{lock};
    has_it = true;
  }};
  first.join();
  EXPECT_TRUE(has_waiters(lock));
  EXPECT_FALSE(has_it);
  lock.unblock();
  EXPECT_TRUE(eventually([&] { return has_it.load(); }));
}

TYPED_TEST(timed_lockable, one_that_was_let_in_in_time_has_no_timeout) {
  TypeParam lock;
  lock.block();
  std::jthread waiter{[&] {
    EXPECT_TRUE(lock.lock_until(deadline::after(1h)));
    lock.unlock();
  }};
  EXPECT_TRUE(has_waiters(lock));
  lock.unblock();
  waiter.join();
  expect_free(lock);
}

// Those without a deadline wait for ever: a lost wake-up would show.
TYPED_TEST(timed_lockable, timeouts_that_race_with_unlock_strand_nobody) {
  constexpr int rounds = 600;
  TypeParam lock;
  std::atomic<int> taken{0};
  std::atomic<int> timeouts{0};
  {
    std::vector<std::jthread> running;
    for (int t = 0; t < 2; ++t) {
      running.emplace_back([&] {
        for (int i = 0; i < rounds; ++i) {
          if (lock.lock_until(deadline::after(std::chrono::microseconds(i % 60)))) {
            ++taken;
            lock.unlock();
          } else {
            ++timeouts;
          }
        }
      });
      running.emplace_back([&] {
        for (int i = 0; i < rounds; ++i) {
          lock.block();
          ++taken;
          if (i % 8 == 0) std::this_thread::yield();
          lock.unblock();
        }
      });
      running.emplace_back([&] {
        for (int i = 0; i < rounds; ++i) {
          const std::lock_guard held{lock};
          ++taken;
        }
      });
    }
  }
  EXPECT_EQ(taken + timeouts, 6 * rounds);
  expect_free(lock);
}

// --- the standard's timed ways ---

template <class Lock>
class standard_timed_lockable : public testing::Test {};

using for_timed_guards = testing::Types<test::a_mutex, test::a_recursive_mutex, test::a_shared_mutex_to_write,
                                        test::a_pi_mutex, test::a_watched_timed_mutex>;
TYPED_TEST_SUITE(standard_timed_lockable, for_timed_guards, test::by_name);

TYPED_TEST(standard_timed_lockable, works_with_unique_lock_and_every_clock) {
  TypeParam subject;
  auto& lock = subject.itself();
  {
    const std::unique_lock held{lock, 1h};
    EXPECT_TRUE(held.owns_lock());
    elsewhere([&] {
      EXPECT_FALSE((std::unique_lock{lock, 1ms}.owns_lock()));
      EXPECT_FALSE((std::unique_lock{lock, -1h}.owns_lock()));
      EXPECT_FALSE((std::unique_lock{lock, std::chrono::steady_clock::now() + 1ms}.owns_lock()));
      EXPECT_FALSE((std::unique_lock{lock, std::chrono::system_clock::now() + 1ms}.owns_lock()));
      EXPECT_FALSE((std::unique_lock{lock, std::chrono::duration<float>{0.001F}}.owns_lock()));
    });
  }
  EXPECT_TRUE((std::unique_lock{lock, std::chrono::system_clock::now() + 1h}.owns_lock()));
  EXPECT_TRUE((std::unique_lock{lock, std::chrono::steady_clock::now() - 1h}.owns_lock()));
  EXPECT_TRUE((std::unique_lock{lock, std::chrono::duration<float>{1.0F}}.owns_lock()));
  expect_free(subject);
}

TYPED_TEST(standard_timed_lockable, takes_times_as_far_away_as_they_can_be) {
  using std::chrono::steady_clock;
  using std::chrono::system_clock;
  TypeParam subject;
  auto& lock = subject.itself();
  {
    const std::unique_lock held{lock, std::chrono::hours::max()};
    EXPECT_TRUE(held.owns_lock());
    elsewhere([&] {
      EXPECT_FALSE((std::unique_lock{lock, std::chrono::hours::min()}.owns_lock()));
      EXPECT_FALSE((std::unique_lock{lock, system_clock::time_point::min()}.owns_lock()));
      EXPECT_FALSE((std::unique_lock{lock, steady_clock::time_point::min()}.owns_lock()));
      EXPECT_FALSE((std::unique_lock{lock, std::chrono::sys_time<std::chrono::hours>::min()}.owns_lock()));
    });
  }
  std::jthread waiter;
  {
    const std::unique_lock held{lock, system_clock::time_point::max()};
    EXPECT_TRUE(held.owns_lock());
    waiter = std::jthread{[&] {
      EXPECT_TRUE((std::unique_lock{lock, std::chrono::sys_time<std::chrono::hours>::max()}.owns_lock()));
      EXPECT_TRUE((std::unique_lock{lock, steady_clock::time_point::max()}.owns_lock()));
    }};
    EXPECT_TRUE(has_waiters(subject));
  }
  waiter.join();
  expect_free(subject);
}

// --- stop tokens ---

template <class Lock>
class stoppable_lockable : public testing::Test {};

using stoppable = testing::Types<test::a_mutex, test::a_recursive_mutex, test::a_shared_mutex_to_write, test::a_share,
                                 test::one_permit>;
TYPED_TEST_SUITE(stoppable_lockable, stoppable, test::by_name);

TYPED_TEST(stoppable_lockable, a_free_lock_is_taken_even_when_stopped) {
  TypeParam lock;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(lock.lock_until(deadline::never(), stop.get_token()));
  lock.unlock();
  expect_free(lock);
}

TYPED_TEST(stoppable_lockable, a_held_lock_is_refused_at_once_when_stopped) {
  TypeParam lock;
  std::stop_source stop;
  stop.request_stop();
  lock.block();
  elsewhere(
      [&] { EXPECT_EQ(lock.lock_until(deadline::never(), stop.get_token()), std::unexpected{wait_error::stopped}); });
  lock.unblock();
  expect_free(lock);
}

TYPED_TEST(stoppable_lockable, a_stop_leaves_no_waiter_behind) {
  TypeParam lock;
  lock.block();
  std::stop_source stop;
  std::jthread waiter{
      [&] { EXPECT_EQ(lock.lock_until(deadline::after(1h), stop.get_token()), std::unexpected{wait_error::stopped}); }};
  EXPECT_TRUE(has_waiters(lock));
  stop.request_stop();
  waiter.join();
  EXPECT_TRUE(lock.waits().empty());
  lock.unblock();
  expect_free(lock);
}

TYPED_TEST(stoppable_lockable, a_stop_does_not_strand_the_next) {
  TypeParam lock;
  lock.block();
  std::stop_source stop;
  std::jthread first{
      [&] { EXPECT_EQ(lock.lock_until(deadline::never(), stop.get_token()), std::unexpected{wait_error::stopped}); }};
  EXPECT_TRUE(has_waiters(lock));
  std::atomic<bool> has_it{false};
  std::jthread next{[&] {
    const std::lock_guard held{lock};
    has_it = true;
  }};
  EXPECT_TRUE(has_waiters(lock, 2));
  stop.request_stop();
  first.join();
  EXPECT_EQ(lock.waits().size(), 1U);
  EXPECT_FALSE(has_it);
  lock.unblock();
  EXPECT_TRUE(eventually([&] { return has_it.load(); }));
  next.join();
  expect_free(lock);
}

TYPED_TEST(stoppable_lockable, a_stop_of_one_in_the_middle_leaves_the_others) {
  TypeParam lock;
  lock.block();
  std::atomic<int> served{0};
  std::stop_source stop;
  const auto wait_for_ever = [&] {
    const std::lock_guard held{lock};
    ++served;
  };
  std::jthread first{wait_for_ever};
  EXPECT_TRUE(has_waiters(lock, 1));
  std::jthread middle{
      [&] { EXPECT_EQ(lock.lock_until(deadline::never(), stop.get_token()), std::unexpected{wait_error::stopped}); }};
  EXPECT_TRUE(has_waiters(lock, 2));
  std::jthread last{wait_for_ever};
  EXPECT_TRUE(has_waiters(lock, 3));
  stop.request_stop();
  middle.join();
  EXPECT_EQ(lock.waits().size(), 2U);
  lock.unblock();
  first.join();
  last.join();
  EXPECT_EQ(served, 2);
  expect_free(lock);
}

TYPED_TEST(stoppable_lockable, two_stops_at_once_leave_nobody_behind) {
  constexpr int rounds = 100;
  for (int i = 0; i < rounds; ++i) {
    TypeParam lock;
    lock.block();
    std::stop_source stop;
    std::stop_source other;
    {
      const auto waits = [&lock](std::stop_source& source) {
        EXPECT_EQ(lock.lock_until(deadline::never(), source.get_token()), std::unexpected{wait_error::stopped});
      };
      const std::jthread one{[&] { waits(stop); }};
      const std::jthread two{[&] { waits(other); }};
      EXPECT_TRUE(has_waiters(lock, 2));
      const std::jthread stopper{[&] { stop.request_stop(); }};
      other.request_stop();
    }
    EXPECT_TRUE(lock.waits().empty());
    lock.unblock();
    expect_free(lock);
  }
}

TYPED_TEST(stoppable_lockable, stops_that_race_with_unlock_strand_nobody) {
  constexpr int rounds = 150;
  for (int i = 0; i < rounds; ++i) {
    TypeParam lock;
    lock.block();
    std::stop_source stop;
    {
      const std::jthread stopped{[&] {
        if (lock.lock_until(deadline::never(), stop.get_token())) lock.unlock();
      }};
      const std::jthread last{[&] { const std::lock_guard held{lock}; }};
      if (i % 2 == 0) EXPECT_TRUE(has_waiters(lock, 2));
      const std::jthread stopper{[&] { stop.request_stop(); }};
      lock.unblock();
    }
    expect_free(lock);
  }
}

}  // namespace
}  // namespace heddle
