#include <heddle/base/fatal.hpp>
#include <heddle/sys/identity.hpp>
#include <heddle/sys/lock_file.hpp>

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <array>

namespace heddle::sys {
namespace {

timespec read_clock(clockid_t which) noexcept {
  timespec now{};
  ::clock_gettime(which, &now);
  return now;
}

}  // namespace

std::int64_t boot_now_ns() noexcept {
  const timespec now = read_clock(CLOCK_BOOTTIME);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::int64_t wall_now_ms() noexcept {
  const timespec now = read_clock(CLOCK_REALTIME);
  return std::int64_t{now.tv_sec} * 1'000 + now.tv_nsec / 1'000'000;
}

std::string boot_id() {
  std::string id = read_content("/proc/sys/kernel/random/boot_id");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  if (id.empty()) fatal("the kernel does not tell its boot id; heddle needs /proc");
  return id;
}

std::string random_id() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    fatal("the kernel gives no random numbers");
  }
  std::string text;
  text.reserve(2 * bytes.size());
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4U];
    text += "0123456789abcdef"[byte & 15U];
  }
  return text;
}

std::uint32_t process_id() noexcept { return static_cast<std::uint32_t>(::getpid()); }

}  // namespace heddle::sys
