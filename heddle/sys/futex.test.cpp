#include <heddle/sys/futex.hpp>

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <limits>
#include <thread>

namespace heddle::sys {
namespace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t millisecond = 1'000'000;

// The calling thread has taken the word while the kernel was told of it; both ways of telling the limit.
using lock_call = int (*)(std::atomic<std::uint32_t>&, std::int64_t) noexcept;
class pi_word : public testing::TestWithParam<lock_call> {
 protected:
  int lock(std::int64_t until_ns = never) { return GetParam()(word, until_ns); }
  std::atomic<std::uint32_t> word{0};
};

TEST_P(pi_word, is_taken_and_given_back) {
  EXPECT_EQ(lock(), 0);
  EXPECT_EQ(word.load() & pi_thread_mask, thread_id());
  EXPECT_EQ(futex_unlock_pi(word), 0);
  EXPECT_EQ(word.load(), 0U);
  EXPECT_EQ(futex_unlock_pi(word), EPERM);
}

TEST_P(pi_word, is_not_taken_twice) {
  word = thread_id();
  EXPECT_EQ(lock(), EDEADLK);
}

TEST_P(pi_word, is_waited_for_until_the_limit_and_not_less) {
  word = thread_id();
  std::thread{[&] {
    EXPECT_EQ(lock(0), ETIMEDOUT);
    const std::int64_t until = steady_now_ns() + 2 * millisecond;
    EXPECT_EQ(lock(until), ETIMEDOUT);
    EXPECT_GE(steady_now_ns(), until);
  }}.join();
  EXPECT_EQ(word.load() & pi_thread_mask, thread_id());
}

TEST_P(pi_word, goes_to_who_waits_for_it) {
  word = thread_id();
  std::thread other{[&] {
    EXPECT_EQ(lock(), 0);
    EXPECT_EQ(word.load() & pi_thread_mask, thread_id());
    EXPECT_EQ(futex_unlock_pi(word), 0);
  }};
  while ((word.load() & pi_waiters_bit) == 0) std::this_thread::yield();
  EXPECT_EQ(futex_unlock_pi(word), 0);
  other.join();
  EXPECT_EQ(word.load(), 0U);
}

TEST_P(pi_word, of_a_thread_that_has_ended_is_told) {
  std::thread{[&] { word = thread_id(); }}.join();
  EXPECT_EQ(lock(), ESRCH);
}

// A kernel that does not look at whose thread it is waits.
TEST_P(pi_word, that_was_copied_by_a_fork_is_not_taken) {
  std::atomic<bool> enough{false};
  std::thread holder{[&] {
    word = thread_id();
    while (!enough) std::this_thread::yield();
  }};
  while (word.load() == 0) std::this_thread::yield();
  const pid_t child = ::fork();
  if (child == 0) {
    const int rc = lock(steady_now_ns() + millisecond);
    ::_exit(rc == EPERM || rc == ETIMEDOUT ? 0 : 1);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  enough = true;
  holder.join();
  EXPECT_EQ(status, 0);
}

INSTANTIATE_TEST_SUITE_P(futex, pi_word, testing::Values(&futex_lock_pi, &futex_lock_pi_by_wall_clock),
                         [](const auto& each) { return each.index == 0 ? "steady_clock" : "wall_clock"; });

TEST(thread_id, is_the_kernels_and_known_anew_in_the_child_of_a_fork) {
  EXPECT_EQ(thread_id(), static_cast<std::uint32_t>(::syscall(SYS_gettid)));
  const pid_t child = ::fork();
  if (child == 0) ::_exit(thread_id() == static_cast<std::uint32_t>(::syscall(SYS_gettid)) ? 0 : 1);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace heddle::sys
