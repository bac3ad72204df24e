#include <heddle/sys/signals.hpp>

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace heddle::sys {
namespace {

constexpr int last_signal = 64;

sigset_t set_of(signal_bits which) noexcept {
  sigset_t set;
  sigemptyset(&set);
  for (int signal = 1; signal <= last_signal; ++signal) {
    if ((which >> (signal - 1) & 1) != 0) sigaddset(&set, signal);
  }
  return set;
}

}  // namespace

signal_bits block_signals(signal_bits which) noexcept {
  const sigset_t set = set_of(which);
  sigset_t before;
  sigemptyset(&before);
  pthread_sigmask(SIG_BLOCK, &set, &before);
  signal_bits newly = 0;
  for (int signal = 1; signal <= last_signal; ++signal) {
    const signal_bits bit = signal_bits{1} << (signal - 1);
    if ((which & bit) != 0 && sigismember(&before, signal) == 0) newly |= bit;
  }
  return newly;
}

void unblock_signals(signal_bits which) noexcept {
  const sigset_t set = set_of(which);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

std::expected<int, std::error_code> open_signal_descriptor(signal_bits which) noexcept {
  const sigset_t set = set_of(which);
  const int made = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (made < 0) return std::unexpected{std::error_code{errno, std::system_category()}};
  return made;
}

int take_signal(int descriptor) noexcept {
  signalfd_siginfo info{};
  for (;;) {
    const ssize_t got = ::read(descriptor, &info, sizeof info);
    if (got == sizeof info) return static_cast<int>(info.ssi_signo);
    if (got >= 0) return -EAGAIN;
    if (errno != EINTR) return -errno;
  }
}

}  // namespace heddle::sys
