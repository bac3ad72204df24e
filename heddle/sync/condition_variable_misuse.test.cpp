// Conditions used as they must not be, and what becomes of them at the end of a process.

#include <heddle/sync/condition_variable.hpp>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <heddle/task/sync_wait.hpp>
#include <heddle/watch/settings.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <cstdlib>
#include <mutex>
#include <thread>

namespace heddle {
namespace {

using test::manual_executor;
using test::started;
using test::waited_for;

using condition_variable_misuse = test::misuse;

void wait_with_anothers_lock() {
  mutex m;
  condition_variable c;
  std::unique_lock lock{m};
  std::jthread{[&] { c.wait(lock); }}.join();
}

void wait_without_locking() {
  mutex m;
  condition_variable c;
  std::unique_lock lock{m, std::defer_lock};
  c.wait(lock);
}

void await_without_locking() {
  mutex m;
  condition_variable c;
  const auto body = [](condition_variable& cv, mutex& lock_of) -> task<void> {
    std::unique_lock lock{lock_of, std::defer_lock};
    (void)co_await cv.async_wait(lock);
  };
  sync_wait(body(c, m));
}

TEST_F(condition_variable_misuse, waiting_without_the_lock_is_fatal) {
  EXPECT_DEATH(wait_without_locking(), "waited for without its lock held by this agent");
  EXPECT_DEATH(wait_with_anothers_lock(), "waited for without its lock held by this agent");
  EXPECT_DEATH(await_without_locking(), "waited for without its lock held by this agent");
}

void destroy_while_a_thread_waits() {
  mutex m;
  auto* c = new condition_variable;
  std::thread waiter{[&] {
    std::unique_lock lock{m};
    c->wait(lock);
  }};
  (void)waited_for(*c);
  delete c;
  waiter.join();
}

TEST_F(condition_variable_misuse, destroying_what_is_waited_for_is_fatal) {
  EXPECT_DEATH(destroy_while_a_thread_waits(), "a condition variable was destroyed while it is waited for");
}

void wait_without_a_foreign_lock() {
  std::mutex m;
  condition_variable c;
  std::unique_lock lock{m, std::defer_lock};
  c.wait(lock);
}

void wait_without_the_mutex_itself() {
  mutex m;
  condition_variable c;
  c.wait(m);
}

TEST_F(condition_variable_misuse, waiting_without_a_foreign_lock_is_fatal) {
  EXPECT_DEATH(wait_without_a_foreign_lock(), "waited for without its lock held by this agent");
  EXPECT_DEATH(wait_without_the_mutex_itself(), "waited for without its lock held by this agent");
}

[[noreturn]] void exit_while_another_waits() {
  static mutex m;
  static condition_variable c;
  std::thread{[] {
    std::unique_lock lock{m};
    c.wait(lock);
  }}.detach();
  if (!waited_for(c)) std::_Exit(3);
  std::exit(0);
}

TEST_F(condition_variable_misuse, exiting_while_it_is_waited_for_is_allowed) {
  EXPECT_EXIT(exit_while_another_waits(), testing::ExitedWithCode(0), "^$");
}

// Undiagnosed, as ThreadSanitizer lets no child start a thread.
[[noreturn]] void fork_while_another_waits() {
  watch::configure({.deadlocks = false,
                    .lock_order = false,
                    .starvation = false,
                    .priority_inversion = false,
                    .livelock = false,
                    .stalls = false});
  static mutex m;
  static condition_variable c;
  std::thread{[] {
    std::unique_lock lock{m};
    c.wait(lock);
  }}.detach();
  if (!waited_for(c)) std::_Exit(3);
  const auto wait = [](condition_variable& changed, mutex& lock_of) -> task<void> {
    std::unique_lock lock = co_await lock_of.async_lock();
    (void)co_await changed.async_wait(lock);
  };
  manual_executor ready;
  const started later{ready, wait(c, m)};
  ready.run_all();
  if (!waited_for(c, 2)) std::_Exit(3);
  const pid_t pid = fork();
  if (pid != 0) {
    int status = 0;
    waitpid(pid, &status, 0);
    std::_Exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
  }
  c.notify_one();
  ready.run_all();
  std::_Exit(later.has_ended() && m.holder() == 0 ? 0 : 4);
}

TEST_F(condition_variable_misuse, a_child_of_fork_notifies_those_who_are_there) {
  EXPECT_EXIT(fork_while_another_waits(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace heddle
