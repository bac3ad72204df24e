#include <heddle/sync/pi_mutex.hpp>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <heddle/sync/guarded.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/kernel.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/no_deadlocks.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::manual_executor;
using test::started;

static_assert(sizeof(pi_mutex) <= 16);
constinit pi_mutex made_at_compile_time{"constinit"};

// The waiters sleep in the kernel, where an unlock finds them.
bool slept_for(const pi_mutex& m, std::size_t count = 1) {
  return eventually([&] {
    const auto waits = test::waits_for(&m);
    return waits.size() == count && std::ranges::all_of(waits, [](const park::wait_info& wait) {
             return test::sleeps_in_the_kernel(wait.thread);
           });
  });
}

bool another_thread_gets(pi_mutex& m) {
  bool got = false;
  std::thread{[&] { got = std::unique_lock(m, std::try_to_lock).owns_lock(); }}.join();
  return got;
}

void expect_free(pi_mutex& m) {
  EXPECT_EQ(m.holder(), 0U);
  EXPECT_TRUE(test::waits_for(&m).empty());
  EXPECT_TRUE(another_thread_gets(m));
}

// A thread that takes the lock and ends.
void end_while_holding(pi_mutex& m) {
  std::thread{[&] { std::unique_lock{m}.release(); }}.join();
}

TEST(pi_mutex, excludes) {
  constexpr int threads = 4;
  constexpr int rounds = 3'000;
  pi_mutex m;
  int count = 0;  // plain: what is done before unlock() must be seen after the next lock()
  {
    std::vector<std::jthread> running;
    for (int t = 0; t < threads; ++t) {
      running.emplace_back([&, t] {
        for (int i = 0; i < rounds; ++i) {
          if ((i + t) % 3 == 0) {
            const auto held = m.lock_until(deadline::after(1h));
            ASSERT_TRUE(held);
            ++count;
          } else {
            const std::lock_guard held{m};
            ++count;
          }
        }
      });
    }
  }
  EXPECT_EQ(count, threads * rounds);
  expect_free(m);
}

TEST(pi_mutex, what_was_done_under_it_is_seen_by_whom_the_kernel_hands_it_to) {
  pi_mutex m;
  int plain = 0;
  std::unique_lock mine{m};
  std::jthread other{[&] {
    const std::lock_guard held{m};
    EXPECT_EQ(plain, 1);
    EXPECT_TRUE(m.held_by_me());
  }};
  ASSERT_TRUE(slept_for(m));
  plain = 1;
  mine.unlock();
}

TEST(pi_mutex, a_task_uses_it_and_names_itself_the_holder) {
  pi_mutex m;
  const auto use = [](pi_mutex& lock) -> task<bool> {
    const std::lock_guard held{lock};
    co_return lock.held_by_me() && lock.holder() == current_agent().id();
  };
  EXPECT_TRUE(sync_wait(use(m)));
  expect_free(m);
}

TEST(pi_mutex, a_wait_tells_who_waits_for_what_and_who_holds_it) {
  pi_mutex named{"the valve"};
  std::unique_lock mine{named};
  ASSERT_EQ(current_agent().held(), 1U);
  EXPECT_EQ(current_agent().holds().at(0).lock, &named);
  EXPECT_STREQ(current_agent().holds().at(0).how.made().name, "the valve");
  const deadline until = deadline::after(1h);
  std::thread other{[&] { EXPECT_TRUE(named.lock_until(until)); }};
  ASSERT_TRUE(slept_for(named));
  const park::wait_info wait = test::waits_for(&named).front();
  EXPECT_EQ(wait.waits_for, resource_kind::mutex);
  EXPECT_EQ(wait.resource_name, "the valve");
  EXPECT_EQ(wait.holder, current_agent().id());
  EXPECT_EQ(wait.until, until.time());
  EXPECT_EQ(wait.site.find("heddle/sync/pi_mutex.test.cpp:"), 0U);
  mine.unlock();
  other.join();
  EXPECT_EQ(current_agent().held(), 0U);
  expect_free(named);
}

TEST(pi_mutex, try_lock_fails_without_waiting) {
  pi_mutex m;
  const std::lock_guard mine{m};
  EXPECT_FALSE(another_thread_gets(m));
  EXPECT_FALSE(std::unique_lock(m, std::try_to_lock).owns_lock()) << "nor does its holder get it again";
}

TEST(pi_mutex, a_free_lock_is_taken_even_late) {
  pi_mutex m;
  EXPECT_TRUE(m.lock_until(deadline::after(-1s)));
  EXPECT_TRUE(std::unique_lock(m, -1s).owns_lock());
  EXPECT_TRUE(std::unique_lock(m, std::chrono::system_clock::now() - 1s).owns_lock());
  expect_free(m);
}

TEST(pi_mutex, a_timeout_leaves_no_waiter_behind) {
  pi_mutex m;
  std::unique_lock mine{m};
  std::thread{[&] {
    const deadline until = deadline::after(2ms);
    EXPECT_EQ(m.lock_until(until).error(), wait_error::timeout);
    EXPECT_TRUE(until.has_passed());
    EXPECT_EQ(m.lock_until(deadline::after(-1s)).error(), wait_error::timeout);
    EXPECT_FALSE(m.try_lock_for(1ms));
    EXPECT_FALSE(m.try_lock_until(std::chrono::system_clock::now() + 1ms));
  }}.join();
  mine.unlock();
  expect_free(m);
}

TEST(pi_mutex, may_be_destroyed_right_after_the_last_unlock) {
  for (int i = 0; i < 300; ++i) {
    auto m = std::make_unique<pi_mutex>();
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

TEST(pi_mutex, what_could_never_end_is_told) {
  pi_mutex m;
  {
    const std::lock_guard mine{m};
    EXPECT_EQ(m.lock_until(deadline::never()).error(), wait_error::deadlock);
  }
  manual_executor here;
  bool enough = false;
  const auto hold = [](pi_mutex& lock, const bool& until) -> task<void> {
    const std::unique_lock held{lock};
    while (!until) co_await this_task::yield();
  };
  const auto want = [](pi_mutex& lock) -> task<wait_error> {
    const auto got = lock.lock_until(deadline::never());
    co_return got ? wait_error::stopped : got.error();
  };
  const started holder{here, hold(m, enough)};
  ASSERT_TRUE(here.run_one());
  started other{here, want(m)};
  while (!other.has_ended()) ASSERT_TRUE(here.run_one());
  EXPECT_EQ(other.value(), wait_error::deadlock);
  EXPECT_EQ(m.lock_until(deadline::never()).error(), wait_error::deadlock) << "the thread is not its task";
  enough = true;
  here.run_all();
  expect_free(m);
}

TEST(pi_mutex, a_circle_is_told_to_who_can_give_up) {
  const test::makes_deadlocks meant;
  pi_mutex a;
  pi_mutex b;
  std::unique_lock mine{a};
  std::atomic<bool> has_b{false};
  std::jthread other{[&] {
    const std::lock_guard first{b};
    has_b = true;
    const std::lock_guard second{a};
  }};
  ASSERT_TRUE(eventually([&] { return has_b.load(); }));
  ASSERT_TRUE(slept_for(a));
  EXPECT_EQ(b.lock_until(deadline::never()).error(), wait_error::deadlock);
  mine.unlock();
}

TEST(pi_mutex, a_circle_ends_when_somebody_gives_up) {
  const test::makes_deadlocks meant;
  pi_mutex a;
  pi_mutex b;
  std::unique_lock mine{a};
  std::atomic<bool> has_b{false};
  std::jthread other{[&] {
    const std::lock_guard first{b};
    has_b = true;
    EXPECT_EQ(a.lock_until(deadline::after(100ms)).error(), wait_error::timeout);
  }};
  ASSERT_TRUE(eventually([&] { return has_b.load(); }));
  ASSERT_TRUE(slept_for(a));
  const std::lock_guard got_in_the_end{b};
  mine.unlock();
}

TEST(pi_mutex, what_an_ended_thread_held_is_lost) {
  static pi_mutex& m = *new pi_mutex;  // held for ever, so never destroyed
  end_while_holding(m);
  EXPECT_FALSE(another_thread_gets(m));
  EXPECT_EQ(m.lock_until(deadline::never()).error(), wait_error::closed);
  EXPECT_NE(m.holder(), 0U);
}

TEST(pi_mutex, who_waits_for_a_thread_that_ends_is_told) {
  static pi_mutex m;  // free once all know that it is lost
  std::atomic<bool> enough{false};
  std::uint32_t ended = 0;
  std::thread holder{[&] {
    std::unique_lock{m}.release();
    ended = m.holder();
    while (!enough) std::this_thread::yield();
  }};
  ASSERT_TRUE(eventually([&] { return m.holder() != 0; }));
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 3; ++i) {
    waiters.emplace_back([] { EXPECT_EQ(m.lock_until(deadline::never()).error(), wait_error::closed); });
  }
  ASSERT_TRUE(slept_for(m, 3));
  enough = true;
  holder.join();
  waiters.clear();
  EXPECT_FALSE(another_thread_gets(m));
  EXPECT_EQ(m.lock_until(deadline::after(1h)).error(), wait_error::closed);
  EXPECT_EQ(m.holder(), ended);
}

TEST(pi_mutex, works_in_the_standards_and_in_guarded) {
  pi_mutex a;
  pi_mutex b;
  {
    const std::scoped_lock both{a, b};
    EXPECT_TRUE(a.held_by_me() && b.held_by_me());
  }
  guarded<int, pi_mutex> value{1};
  EXPECT_EQ(value.with([](int& inner) { return ++inner; }), 2);
}

// --- misuse ---

using pi_mutex_misuse = test::misuse;

TEST_F(pi_mutex_misuse, locking_twice_is_fatal) {
  EXPECT_DEATH(
      {
        pi_mutex m;
        const std::lock_guard once{m};
        const std::lock_guard twice{m};
      },
      "pi_mutex was locked twice by one agent");
}

TEST_F(pi_mutex_misuse, waiting_for_a_task_of_the_same_thread_is_fatal) {
  EXPECT_DEATH(
      {
        pi_mutex m;
        manual_executor here;
        const auto hold = [](pi_mutex& lock) -> task<void> {
          const std::unique_lock held{lock};
          co_await this_task::yield();
        };
        const started one(here, hold(m));
        const started other(here, hold(m));
        here.run_all();
      },
      "another task of its thread holds");
}

TEST_F(pi_mutex_misuse, unlocking_what_is_not_held_is_fatal) {
  EXPECT_DEATH(
      {
        pi_mutex m;
        const std::lock_guard never_taken(m, std::adopt_lock);
      },
      "pi_mutex was unlocked by an agent that does not hold it");
  EXPECT_DEATH(
      {
        pi_mutex m;
        const std::lock_guard held{m};
        std::thread{[&m] { const std::lock_guard anothers(m, std::adopt_lock); }}.join();
      },
      "pi_mutex was unlocked by an agent that does not hold it");
}

TEST_F(pi_mutex_misuse, unlocking_on_another_thread_is_fatal) {
  EXPECT_DEATH(
      {
        pi_mutex m;
        test::loop_thread one;
        test::loop_thread other;
        const auto travel = [](pi_mutex& lock, executor& there) -> task<void> {
          const std::unique_lock held{lock};
          co_await this_task::resume_on(there);
        };
        const started task(one.where(), travel(m, other.where()));
        (void)task.ends();
      },
      "on another thread than it locked it on");
}

TEST_F(pi_mutex_misuse, destroying_what_is_held_is_fatal) {
  EXPECT_DEATH(
      {
        pi_mutex m;
        std::unique_lock{m}.release();
      },
      "pi_mutex was destroyed while it is held or waited for");
}

TEST_F(pi_mutex_misuse, one_that_is_held_at_exit_is_no_misuse) {
  EXPECT_EXIT(
      {
        static pi_mutex m;
        std::unique_lock{m}.release();
        std::exit(0);
      },
      testing::ExitedWithCode(0), "^$");
}

TEST_F(pi_mutex_misuse, a_thread_that_ends_while_it_holds_it_is_reported) {
  EXPECT_EXIT(
      {
        static pi_mutex m;
        end_while_holding(m);
        std::_Exit(0);
      },
      testing::ExitedWithCode(0), "has ended while it holds 1 lock");
}

TEST_F(pi_mutex_misuse, locking_what_an_ended_thread_held_is_fatal) {
  EXPECT_DEATH(
      {
        static pi_mutex m;
        end_while_holding(m);
        const std::lock_guard held{m};
      },
      "pi_mutex was locked whose holder had ended");
  EXPECT_DEATH(
      {
        static pi_mutex m;
        std::atomic<bool> enough{false};
        std::thread holder{[&] {
          std::unique_lock{m}.release();
          while (!enough) std::this_thread::yield();
        }};
        if (!eventually([] { return m.holder() != 0; })) std::_Exit(1);
        std::thread waiter{[] { const std::lock_guard held{m}; }};
        if (!slept_for(m)) std::_Exit(1);
        enough = true;
        holder.join();
        waiter.join();
      },
      "pi_mutex was locked whose holder had ended");
}

TEST_F(pi_mutex_misuse, a_task_that_ends_while_it_holds_it_is_fatal) {
  EXPECT_DEATH(
      {
        pi_mutex m;
        const auto keep = [](pi_mutex& lock) -> task<void> {
          std::unique_lock{lock}.release();
          co_return;
        };
        sync_wait(keep(m));
      },
      "a task has ended while it holds a lock");
}

TEST(pi_mutex_fork, the_child_lets_go_of_what_the_forking_thread_held) {
  pi_mutex mine;
  pi_mutex anothers;
  std::unique_lock held{mine};
  std::atomic<bool> enough{false};
  std::jthread other{[&] {
    const std::lock_guard kept{anothers};
    while (!enough) std::this_thread::yield();
  }};
  std::jthread waiter{[&] { const std::lock_guard after{mine}; }};
  ASSERT_TRUE(eventually([&] { return anothers.holder() != 0; }));
  ASSERT_TRUE(slept_for(mine));
  const pid_t child = ::fork();
  if (child == 0) {
    bool right = mine.held_by_me();
    held.unlock();
    for (int i = 0; i < 2; ++i) right = right && std::unique_lock(mine, 1ms).owns_lock();
    right = right && anothers.holder() != 0 && !std::unique_lock(anothers, std::try_to_lock).owns_lock();
    ::_exit(right ? 0 : 1);
  }
  int status = -1;
  const pid_t ended = ::waitpid(child, &status, 0);
  held.unlock();
  enough = true;
  ASSERT_EQ(ended, child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace heddle
