#include <heddle/base/fatal.hpp>
#include <heddle/sys/futex.hpp>

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <limits>

namespace heddle::sys {
namespace {

constexpr std::int64_t never_ns = std::numeric_limits<std::int64_t>::max();

constinit thread_local std::uint32_t known_thread_id = 0;

timespec moment(std::int64_t ns) noexcept {
  if (ns < 0) ns = 0;
  return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
}

// One FUTEX_LOCK_PI or FUTEX_LOCK_PI2 up to an answer that means something.
int lock_pi(std::atomic<std::uint32_t>& word, int operation, const timespec* until) noexcept {
  for (;;) {
    if (syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, 0, until, nullptr, 0) == 0) return 0;
    if (errno != EAGAIN && errno != EINTR) return errno;  // the holder is just ending, or a signal came
  }
}

// Asked with a word that the asking thread holds, so a kernel that knows the operation answers EDEADLK.
bool has_lock_pi2() noexcept {
  static const bool known = [] {
    std::atomic<std::uint32_t> held{thread_id()};
    return lock_pi(held, FUTEX_LOCK_PI2, nullptr) != ENOSYS;
  }();
  return known;
}

}  // namespace

int futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t until_ns) noexcept {
  const timespec until = moment(until_ns);
  const timespec* const timeout = until_ns != never_ns ? &until : nullptr;
  const long rc = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, timeout, nullptr,
                          FUTEX_BITSET_MATCH_ANY);
  return rc == 0 ? 0 : errno;
}

void futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept {
  syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, nullptr, nullptr, 0);
}

int futex_lock_pi(std::atomic<std::uint32_t>& word, std::int64_t until_ns) noexcept {
  if (!has_lock_pi2()) return futex_lock_pi_by_wall_clock(word, until_ns);
  const timespec until = moment(until_ns);
  return lock_pi(word, FUTEX_LOCK_PI2, until_ns != never_ns ? &until : nullptr);
}

int futex_lock_pi_by_wall_clock(std::atomic<std::uint32_t>& word, std::int64_t until_ns) noexcept {
  if (until_ns == never_ns) return lock_pi(word, FUTEX_LOCK_PI, nullptr);
  for (;;) {
    const std::int64_t wall = std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now())
                                  .time_since_epoch()
                                  .count();
    const timespec until = moment(wall + (until_ns - steady_now_ns()));
    const int rc = lock_pi(word, FUTEX_LOCK_PI, &until);
    if (rc != ETIMEDOUT || steady_now_ns() >= until_ns) return rc;  // else the wall clock was put forward
  }
}

int futex_unlock_pi(std::atomic<std::uint32_t>& word) noexcept {
  return syscall(SYS_futex, &word, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, nullptr, nullptr, 0) == 0 ? 0 : errno;
}

std::int64_t steady_now_ns() noexcept { return std::chrono::steady_clock::now().time_since_epoch().count(); }

unsigned allowed_cpus() noexcept {
  static const unsigned count = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1U;
    return static_cast<unsigned>(CPU_COUNT(&set));
  }();
  return count;
}

std::uint32_t thread_id() noexcept {
  if (known_thread_id != 0) [[likely]]
    return known_thread_id;
  static const bool asks_again_after_fork = [] {
    return pthread_atfork(nullptr, nullptr, [] { known_thread_id = 0; }) == 0;
  }();
  const auto id = static_cast<std::uint32_t>(syscall(SYS_gettid));
  if (asks_again_after_fork) known_thread_id = id;
  return id;
}

}  // namespace heddle::sys
