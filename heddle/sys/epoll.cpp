#include <heddle/base/fatal.hpp>
#include <heddle/sys/epoll.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <ctime>
#include <limits>

namespace heddle::sys {
namespace {

std::unexpected<std::error_code> last_error() noexcept {
  return std::unexpected{std::error_code{errno, std::system_category()}};
}

// Kernels before 5.11 cannot wait with nanoseconds.
constinit std::atomic<bool> has_fine_wait{true};

}  // namespace

std::expected<int, std::error_code> open_epoll() noexcept {
  const int made = epoll_create1(EPOLL_CLOEXEC);
  if (made < 0) return last_error();
  return made;
}

int epoll_add(int epoll, int descriptor, void* data) noexcept {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = data;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 ? 0 : errno;
}

void epoll_remove(int epoll, int descriptor) noexcept { epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nullptr); }

std::size_t epoll_wait_ns(int epoll, std::span<epoll_event> events, std::int64_t timeout_ns) noexcept {
  constexpr std::int64_t ns_per_ms = 1'000'000;
  const int size = static_cast<int>(events.size());
  int count = 0;
  if (timeout_ns > 0 && has_fine_wait.load(std::memory_order_relaxed)) {
    const timespec limit{.tv_sec = timeout_ns / 1'000'000'000, .tv_nsec = timeout_ns % 1'000'000'000};
    count = epoll_pwait2(epoll, events.data(), size, &limit, nullptr);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == ENOSYS) has_fine_wait.store(false, std::memory_order_relaxed);
  }
  int timeout_ms = -1;
  if (timeout_ns >= 0) {
    constexpr std::int64_t longest = std::numeric_limits<int>::max();
    const std::int64_t rounded_up = timeout_ns / ns_per_ms + (timeout_ns % ns_per_ms != 0 ? 1 : 0);
    timeout_ms = static_cast<int>(rounded_up < longest ? rounded_up : longest);
  }
  if (count >= 0 || errno != EINTR) count = epoll_wait(epoll, events.data(), size, timeout_ms);
  if (count >= 0) return static_cast<std::size_t>(count);
  if (errno != EINTR) fatal("the system refuses to wait for an event loop's descriptors");
  return 0;
}

std::expected<int, std::error_code> open_event_counter() noexcept {
  const int made = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (made < 0) return last_error();
  return made;
}

void bump_event_counter(int descriptor) noexcept {
  const std::uint64_t one = 1;
  ssize_t rc = 0;
  do {
    rc = ::write(descriptor, &one, sizeof one);
  } while (rc < 0 && errno == EINTR);
}

std::uint64_t take_event_counter(int descriptor) noexcept {
  std::uint64_t value = 0;
  ssize_t rc = 0;
  do {
    rc = ::read(descriptor, &value, sizeof value);
  } while (rc < 0 && errno == EINTR);
  return rc == sizeof value ? value : 0;
}

void close_descriptor(int descriptor) noexcept { ::close(descriptor); }

}  // namespace heddle::sys
