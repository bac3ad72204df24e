#include <heddle/sync/watched.hpp>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <heddle/sync/lock_all.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/watch/waits.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/no_deadlocks.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::waited_for;

static_assert(sizeof(watched<std::mutex>) == sizeof(std::mutex) + 24);
[[maybe_unused]] constinit watched<std::mutex> made_at_compile_time{"constinit"};

// Has no try_lock().
class basic_lock {
 public:
  void lock() { inner_.lock(); }
  void unlock() { inner_.unlock(); }

 private:
  std::mutex inner_;
};

template <class Lock>
concept can_try = requires(Lock& l) { l.try_lock(); };
template <class Lock>
concept can_wait_for = requires(Lock& l) { l.try_lock_for(1ms); };
template <class Lock>
concept can_share = requires(Lock& l) { l.lock_shared(); };
static_assert(can_try<watched<std::mutex>> && !can_try<watched<basic_lock>>);
static_assert(can_wait_for<watched<std::timed_mutex>> && !can_wait_for<watched<std::mutex>>);
static_assert(can_share<watched<std::shared_mutex>> && !can_share<watched<std::mutex>>);

bool another_thread_gets(auto& lock) {
  bool got = false;
  std::thread{[&] { got = std::unique_lock(lock, std::try_to_lock).owns_lock(); }}.join();
  return got;
}

TEST(watched, works_with_the_standards_guards) {
  constexpr int rounds = 2'000;
  watched<std::mutex> a;
  watched<std::mutex> b{"b"};
  int count = 0;
  {
    const auto count_up = [&](auto& one, auto& two) {
      for (int i = 0; i < rounds; ++i) {
        if (i % 2 == 0) {
          const std::scoped_lock held{one, two};
          ++count;
        } else {
          const lock_all held{two, one};
          ++count;
        }
      }
    };
    const std::jthread first{[&] { count_up(a, b); }};
    const std::jthread second{[&] { count_up(b, a); }};
  }
  EXPECT_EQ(count, 2 * rounds);
  EXPECT_EQ(a.holder(), 0U);
  EXPECT_TRUE(another_thread_gets(a) && another_thread_gets(b));
}

TEST(watched, a_wait_tells_who_waits_for_what_and_who_holds_it) {
  watched<std::mutex> m{"settings"};
  std::unique_lock mine{m};
  EXPECT_EQ(m.holder(), current_agent().id());
  EXPECT_TRUE(m.held_by_me());
  std::jthread other{[&] { const std::lock_guard held{m}; }};
  ASSERT_TRUE(waited_for(m));
  const park::wait_info wait = test::waits_for(&m).front();
  EXPECT_EQ(wait.waits_for, resource_kind::mutex);
  EXPECT_EQ(wait.resource_name, "settings");
  EXPECT_EQ(wait.holder, current_agent().id());
  EXPECT_EQ(wait.until, std::nullopt);
  mine.unlock();
  other.join();
  EXPECT_TRUE(test::waits_for(&m).empty());
}

TEST(watched, what_is_held_is_listed) {
  watched<std::mutex> m{"listed"};
  watched<std::shared_mutex> s{"shared"};
  {
    const std::lock_guard held{m};
    const std::shared_lock share{s};
    ASSERT_EQ(current_agent().held(), 2U);
    EXPECT_EQ(current_agent().holds().at(0).lock, &m);
    EXPECT_STREQ(current_agent().holds().at(0).how.made().name, "listed");
    EXPECT_EQ(current_agent().holds().at(1).lock, &s);
    EXPECT_EQ(current_agent().holds().at(1).how.mode(), park::hold_mode::shared);
  }
  EXPECT_EQ(current_agent().held(), 0U);
}

TEST(watched, a_deadlock_through_it_is_found) {
  const test::makes_deadlocks meant;
  watched<std::mutex> foreign{"foreign"};
  watched<std::timed_mutex> other{"other"};
  std::unique_lock mine{foreign};
  std::atomic<bool> has_other{false};
  std::atomic<bool> enough{false};
  std::jthread thread{[&] {
    const std::lock_guard first{other};
    has_other = true;
    const std::lock_guard second{foreign};
  }};
  ASSERT_TRUE(eventually([&] { return has_other.load(); }));
  ASSERT_TRUE(waited_for(foreign));
  std::jthread looks{[&] {
    EXPECT_TRUE(eventually([&] { return !watch::waits().deadlocks.empty(); }));
    enough = true;
  }};
  while (!enough) EXPECT_FALSE(other.try_lock_for(10ms));
  mine.unlock();
}

TEST(watched, works_with_condition_variable_any) {
  watched<std::mutex> m;
  std::condition_variable_any changed;
  bool ready = false;
  std::jthread waiter{[&] {
    std::unique_lock held{m};
    changed.wait(held, [&] { return ready; });
    EXPECT_TRUE(m.held_by_me());
  }};
  {
    const std::lock_guard held{m};
    ready = true;
  }
  changed.notify_all();
}

TEST(watched, has_the_timed_ways_of_the_lock) {
  watched<std::timed_mutex> m;
  const std::lock_guard mine{m};
  std::thread{[&] {
    EXPECT_FALSE(m.try_lock());
    EXPECT_FALSE(m.try_lock_for(1ms));
    EXPECT_FALSE(m.try_lock_until(std::chrono::system_clock::now() + 1ms));
  }}.join();
  EXPECT_FALSE(m.try_lock_for(1ms)) << "nor does its holder get it again";
}

TEST(watched, has_the_shared_ways_of_the_lock) {
  watched<std::shared_timed_mutex> m;
  {
    const std::shared_lock one{m};
    std::thread{[&] {
      EXPECT_TRUE(std::shared_lock{m}.owns_lock());
      EXPECT_TRUE(std::shared_lock(m, 1h).owns_lock());
      EXPECT_FALSE(m.try_lock_for(1ms));
    }}.join();
  }
  std::unique_lock alone{m};
  EXPECT_FALSE(m.try_lock_shared_for(1ms));
  std::jthread reader{[&] { const std::shared_lock share{m}; }};
  ASSERT_TRUE(waited_for(m));
  EXPECT_EQ(test::waits_for(&m).front().holder, current_agent().id());
  std::thread{[&] { EXPECT_FALSE(m.try_lock_shared_until(std::chrono::steady_clock::now() + 1ms)); }}.join();
  alone.unlock();
}

TEST(watched, a_basic_lock_will_do) {
  watched<basic_lock> m;
  std::unique_lock mine{m};
  std::jthread other{[&] { const std::lock_guard held{m}; }};
  ASSERT_TRUE(waited_for(m));
  EXPECT_EQ(test::waits_for(&m).front().holder, current_agent().id());
  mine.unlock();
}

TEST(watched, a_recursive_lock_may_be_locked_again) {
  watched<std::recursive_mutex> m;
  std::unique_lock one{m};
  std::unique_lock two{m};
  const std::unique_lock three(m, std::try_to_lock);
  EXPECT_TRUE(three.owns_lock());
  EXPECT_EQ(current_agent().held(), 1U);
  one.unlock();
  two.unlock();
  EXPECT_TRUE(m.held_by_me());
  EXPECT_FALSE(another_thread_gets(m));
}

TEST(watched, may_be_destroyed_right_after_the_last_unlock) {
  for (int i = 0; i < 300; ++i) {
    auto m = std::make_unique<watched<std::mutex>>();
    std::unique_lock mine{*m};
    std::thread other{[&] {
      {
        const std::lock_guard held{*m};
      }
      m.reset();
    }};
    mine.unlock();
    other.join();
  }
}

using watched_misuse = test::misuse;

TEST_F(watched_misuse, locking_twice_is_fatal) {
  EXPECT_DEATH(
      {
        watched<std::mutex> m;
        const std::lock_guard once{m};
        const std::lock_guard twice{m};
      },
      "watched lock was locked twice by one agent");
  EXPECT_DEATH(
      {
        watched<std::shared_mutex> m;
        const std::lock_guard once{m};
        const std::shared_lock twice{m};
      },
      "watched lock was locked twice by one agent");
}

TEST_F(watched_misuse, unlocking_what_is_not_held_is_fatal) {
  EXPECT_DEATH(
      {
        watched<std::mutex> m;
        const std::lock_guard held{m};
        std::thread{[&m] { const std::lock_guard anothers(m, std::adopt_lock); }}.join();
      },
      "watched lock was unlocked by an agent that does not hold it");
}

TEST_F(watched_misuse, destroying_what_is_held_is_fatal) {
  EXPECT_DEATH(
      {
        watched<std::mutex> m;
        std::unique_lock{m}.release();
      },
      "watched lock was destroyed while it is held");
}

TEST_F(watched_misuse, one_that_is_held_at_exit_is_no_misuse) {
  EXPECT_EXIT(
      {
        static watched<std::mutex> m;
        std::unique_lock{m}.release();
        std::exit(0);
      },
      testing::ExitedWithCode(0), "^$");
}

TEST_F(watched_misuse, unlocking_on_another_thread_is_fatal) {
  EXPECT_DEATH(
      {
        watched<std::mutex> m;
        test::loop_thread one;
        test::loop_thread other;
        const auto travel = [](watched<std::mutex>& lock, executor& there) -> task<void> {
          const std::unique_lock held{lock};
          co_await this_task::resume_on(there);
        };
        const test::started task(one.where(), travel(m, other.where()));
        (void)task.ends();
      },
      "on another thread than it locked it on");
}

TEST_F(watched_misuse, ending_while_holding_is_reported_for_a_thread_and_fatal_for_a_task) {
  EXPECT_EXIT(
      {
        static watched<std::mutex> m;
        std::thread{[] { std::unique_lock{m}.release(); }}.join();
        std::_Exit(another_thread_gets(m) ? 1 : 0);
      },
      testing::ExitedWithCode(0), "has ended while it holds 1 lock");
  EXPECT_DEATH(
      {
        watched<std::mutex> m;
        const auto keep = [](watched<std::mutex>& lock) -> task<void> {
          std::unique_lock{lock}.release();
          co_return;
        };
        sync_wait(keep(m));
      },
      "a task has ended while it holds a lock");
}

TEST(watched_fork, the_child_unlocks_what_it_held) {
  watched<std::mutex> m;
  std::unique_lock held{m};
  const pid_t child = ::fork();
  if (child == 0) {
    const bool right = m.held_by_me();
    held.unlock();
    ::_exit(right && m.try_lock() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace heddle
