#include <heddle/base/fatal.hpp>
#include <heddle/sys/futex.hpp>

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <limits>

namespace heddle::sys {

int futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t until_ns) noexcept {
  timespec until{};
  timespec* timeout = nullptr;
  if (until_ns != std::numeric_limits<std::int64_t>::max()) {
    if (until_ns < 0) until_ns = 0;
    until.tv_sec = until_ns / 1'000'000'000;
    until.tv_nsec = until_ns % 1'000'000'000;
    timeout = &until;
  }
  const long rc = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, timeout, nullptr,
                          FUTEX_BITSET_MATCH_ANY);
  return rc == 0 ? 0 : errno;
}

void futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept {
  syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, nullptr, nullptr, 0);
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

std::uint32_t thread_id() noexcept { return static_cast<std::uint32_t>(syscall(SYS_gettid)); }

}  // namespace heddle::sys
