// What ends the program, and how shared_mutex goes over fork and exit.

#include <heddle/sync/shared_mutex.hpp>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/waiting.hpp>

#include <cstdlib>
#include <mutex>
#include <shared_mutex>
#include <thread>

namespace heddle {
namespace {

using shared_mutex_misuse = test::misuse;

task<void> keep_to_read(shared_mutex& m) { (co_await m.async_lock_shared()).release(); }
task<void> write_twice(shared_mutex& m) {
  const std::unique_lock held = co_await m.async_lock();
  const std::unique_lock again = co_await m.async_lock();
}
task<void> write_then_read(shared_mutex& m) {
  const std::unique_lock held = co_await m.async_lock();
  const std::shared_lock again = co_await m.async_lock_shared();
}

// Whether the agent holds it or not.
void end_writing(shared_mutex& m) { std::unique_lock{m, std::adopt_lock}.unlock(); }
void end_reading(shared_mutex& m) { std::shared_lock{m, std::adopt_lock}.unlock(); }

bool is_free(shared_mutex& m) { return std::unique_lock{m, std::try_to_lock}.owns_lock(); }

TEST_F(shared_mutex_misuse, locking_it_again_is_fatal) {
  shared_mutex m;
  EXPECT_DEATH(
      {
        const std::lock_guard held{m};
        const std::unique_lock again{m};
      },
      "locked twice by one agent, a deadlock of length one");
  EXPECT_DEATH(
      {
        const std::lock_guard held{m};
        const std::shared_lock again{m};
      },
      "locked to read by the agent that writes");
  EXPECT_DEATH(
      {
        const std::shared_lock held{m};
        const std::unique_lock again{m};
      },
      "locked to write by an agent that reads under it");
  EXPECT_DEATH(sync_wait(write_twice(m)), "locked twice by one agent");
  EXPECT_DEATH(sync_wait(write_then_read(m)), "locked to read by the agent that writes");
}

TEST_F(shared_mutex_misuse, unlocking_what_is_not_held_is_fatal) {
  shared_mutex m;
  EXPECT_DEATH(end_writing(m), "unlocked by an agent that does not write under it");
  EXPECT_DEATH(end_reading(m), "unlocked by an agent that does not read under it");
  EXPECT_DEATH(
      {
        const std::lock_guard held{m};
        std::thread{[&] { end_writing(m); }}.join();
      },
      "does not write under it");
  EXPECT_DEATH(
      {
        const std::shared_lock held{m};
        std::thread{[&] { end_reading(m); }}.join();
      },
      "does not read under it");
  EXPECT_DEATH(
      {
        const std::shared_lock held{m};
        end_writing(m);
      },
      "does not write under it");
  EXPECT_DEATH(
      {
        const std::unique_lock held{m};
        end_reading(m);
      },
      "does not read under it");
}

TEST_F(shared_mutex_misuse, destroying_what_is_held_is_fatal) {
  EXPECT_DEATH(
      {
        shared_mutex m;
        std::unique_lock{m}.release();
      },
      "destroyed while it is held");
  EXPECT_DEATH(
      {
        shared_mutex m;
        std::shared_lock{m}.release();
      },
      "destroyed while it is held");
  EXPECT_DEATH(
      {
        shared_mutex m;
        std::shared_lock in_the_word{m};
        std::shared_lock{m}.release();
        in_the_word.unlock();
      },
      "destroyed while it is held")
      << "its share is in a slot";
  EXPECT_DEATH(
      {
        alignas(shared_mutex) unsigned char memory[sizeof(shared_mutex)];
        auto* m = new (memory) shared_mutex;
        const std::shared_lock held{*m};
        const std::jthread waits{[&] { (void)m->lock_until({}); }};
        (void)test::waited_for(*m);
        m->~shared_mutex();
      },
      "destroyed while it is waited for");
}

TEST_F(shared_mutex_misuse, one_that_is_held_at_exit_is_no_misuse) {
  EXPECT_EXIT(
      {
        static shared_mutex written;
        static shared_mutex read;
        std::unique_lock{written}.release();
        std::shared_lock{read}.release();
        std::exit(0);
      },
      testing::ExitedWithCode(0), "^$");
}

TEST_F(shared_mutex_misuse, ending_while_holding_is_reported_for_a_thread_and_fatal_for_a_task) {
  EXPECT_EXIT(
      {
        static shared_mutex m;
        std::thread{[] { std::shared_lock{m}.release(); }}.join();
        std::_Exit(is_free(m) ? 1 : 0);
      },
      testing::ExitedWithCode(0), "has ended while it holds 1 lock");
  EXPECT_DEATH(
      {
        shared_mutex m;
        sync_wait(keep_to_read(m));
      },
      "a task has ended while it holds a lock");
}

TEST(shared_mutex_fork, the_child_holds_what_its_agent_held) {
  shared_mutex written;
  shared_mutex read;
  std::unique_lock writes{written};
  std::shared_lock in_the_word{read};
  std::shared_lock in_a_slot{read};
  const pid_t child = ::fork();
  if (child == 0) {
    const bool held = !is_free(read) && written.held_by_me();
    writes.unlock();
    in_the_word.unlock();
    in_a_slot.unlock();
    ::_exit(held && is_free(written) && is_free(read) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace heddle
