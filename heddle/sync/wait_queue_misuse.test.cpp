// What a wait_queue does on misuse, on fork, and when a thread is cancelled.

#include <heddle/sync/wait_queue.hpp>

#include <gtest/gtest.h>
#include <tests/support/misuse.hpp>
#include <tests/support/pot.hpp>
#include <tests/support/waiting.hpp>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <thread>

namespace heddle {
namespace {

using test::pot;
using test::waited_for;

struct cancelled_thread {
  pot p;
  std::atomic<bool> got_it{false};
  static void* run(void* self) {
    auto& t = *static_cast<cancelled_thread*>(self);
    t.p.where.wait(t.p.taking('a'));
    t.got_it = true;
    pthread_testcancel();
    return nullptr;
  }
};

TEST(wait_queue, a_wait_is_no_cancellation_point) {
  cancelled_thread t;
  pthread_t thread{};
  ASSERT_EQ(pthread_create(&thread, nullptr, &cancelled_thread::run, &t), 0);
  ASSERT_TRUE(waited_for(t.p.where));
  EXPECT_EQ(pthread_cancel(thread), 0);
  EXPECT_FALSE(t.got_it);
  t.p.put();
  void* how = nullptr;
  EXPECT_EQ(pthread_join(thread, &how), 0);
  EXPECT_TRUE(t.got_it);
  EXPECT_EQ(how, PTHREAD_CANCELED);
}

// --- fork ---

[[noreturn]] void fork_while_another_waits() {
  static pot p;
  std::thread{[] { p.where.wait(p.taking('a')); }}.detach();
  if (!waited_for(p.where)) std::_Exit(3);
  const pid_t pid = fork();
  if (pid != 0) {
    int status = 0;
    waitpid(pid, &status, 0);
    std::_Exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
  }
  const std::size_t woken = p.where.wake_one([] { ++p.things; });
  const std::size_t handed = p.where.hand_over(1, [](std::size_t) {});
  std::_Exit(woken == 0 && handed == 0 && p.where.try_wait(p.taking('c')) && !p.where.has_waiters() ? 0 : 4);
}

using wait_queue_fork = test::misuse;

TEST_F(wait_queue_fork, the_child_passes_by_those_who_are_not_there) {
  EXPECT_EXIT(fork_while_another_waits(), testing::ExitedWithCode(0), "");
}

// --- misuse ---

using wait_queue_misuse = test::misuse;

void destroy_while_a_thread_waits() {
  auto* p = new pot;
  std::thread waiter{[=] { p->where.wait(p->taking('a')); }};
  (void)waited_for(p->where);
  delete p;
  waiter.join();
}

TEST_F(wait_queue_misuse, destroying_what_is_waited_for_is_fatal) {
  EXPECT_DEATH(destroy_while_a_thread_waits(), "a wait queue was destroyed while it is waited for");
}

TEST_F(wait_queue_misuse, a_wait_that_lasts_until_exit_is_no_misuse) {
  EXPECT_EXIT(
      {
        static pot p;
        std::thread{[] { p.where.wait(p.taking('a')); }}.detach();
        (void)waited_for(p.where);
        std::exit(0);
      },
      testing::ExitedWithCode(0), "^$");
}

TEST_F(wait_queue_misuse, using_it_from_within_is_fatal) {
  EXPECT_DEATH(
      {
        pot p;
        p.where.wake_one([&] { p.put(); });
      },
      "a wait queue was used from within");
  EXPECT_DEATH(
      {
        pot p;
        pot other;
        p.where.try_wait([&] { return other.where.try_wait([] { return true; }); });
      },
      "a wait queue was used from within");
  EXPECT_DEATH(
      {
        pot p;
        p.where.hand_over(1, [&](std::size_t) { p.where.hand_over(1, [](std::size_t) {}); });
      },
      "a wait queue was used from within");
}

TEST_F(wait_queue_misuse, an_exception_from_within_is_fatal) {
  EXPECT_DEATH(
      {
        pot p;
        p.where.wake_one([] { throw std::runtime_error{"from change"}; });
      },
      "from change");
  EXPECT_DEATH(
      {
        pot p;
        p.where.wait([]() -> bool { throw std::runtime_error{"from ready"}; });
      },
      "from ready");
}

}  // namespace
}  // namespace heddle
