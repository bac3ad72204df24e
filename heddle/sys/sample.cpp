#include <heddle/sys/code.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/sample.hpp>
#include <heddle/sys/thread.hpp>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace heddle::sys {
namespace {

constexpr std::size_t most = 64;
constexpr std::size_t own_frames = 2;  // the handler, and the kernel's return from it
constexpr std::int64_t patience_ns = 50'000'000;

// `asked` is the thread whose answer is wanted, 0 when none is; the handler takes it back before it writes, so that an
// answer which comes too late is never written into a newer one's place while that is read.
constinit std::atomic<std::uint32_t> asked{0};
constinit std::atomic<std::uint32_t> answered{0};
constinit const void* frames[most];
constinit std::size_t count = 0;

void answer(int) noexcept {
  const int before = errno;
  std::uint32_t self = thread_id();
  if (asked.compare_exchange_strong(self, 0, std::memory_order_acquire)) {
    count = call_stack(frames);
    answered.fetch_add(1, std::memory_order_release);
    futex_wake(answered, 1);
  }
  errno = before;
}

bool handler_is_ours() noexcept {
  static const bool ours = [] {
    struct sigaction now{};
    if (sigaction(sample_signal(), nullptr, &now) != 0 || now.sa_handler != SIG_DFL) return false;
    struct sigaction mine{};
    mine.sa_handler = &answer;
    mine.sa_flags = SA_RESTART | SA_ONSTACK;
    sigfillset(&mine.sa_mask);
    return sigaction(sample_signal(), &mine, nullptr) == 0;
  }();
  return ours;
}

bool computes(std::uint32_t thread) noexcept {
  char path[48];
  std::snprintf(path, sizeof path, "/proc/self/task/%u/syscall", thread);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  char text[16] = {};
  const ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  return size > 0 && std::strncmp(text, "running", 7) == 0;
}

}  // namespace

int sample_signal() noexcept { return SIGRTMAX - 3; }

std::size_t sample_stack(std::uint32_t thread, std::span<const void*> into) noexcept {
  if (!handler_is_ours() || !computes(thread)) return 0;
  const std::uint32_t before = answered.load(std::memory_order_relaxed);
  asked.store(thread, std::memory_order_release);
  if (syscall(SYS_tgkill, getpid(), static_cast<pid_t>(thread), sample_signal()) != 0) {
    asked.store(0, std::memory_order_relaxed);
    return 0;
  }
  const std::int64_t until = steady_now_ns() + patience_ns;
  while (answered.load(std::memory_order_acquire) == before) {
    if (futex_wait(answered, before, until) != ETIMEDOUT) continue;
    std::uint32_t expected = thread;
    if (asked.compare_exchange_strong(expected, 0, std::memory_order_relaxed)) return 0;
    while (answered.load(std::memory_order_acquire) == before) spin_pause();  // it is just answering
    break;
  }
  if (count <= own_frames) return 0;
  const std::size_t n = std::min(count - own_frames, into.size());
  std::copy_n(frames + own_frames, n, into.begin());
  return n;
}

}  // namespace heddle::sys
