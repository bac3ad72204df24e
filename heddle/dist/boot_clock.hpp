#pragma once

#include <chrono>

namespace heddle::dist {

/// Time since the machine was started, the time it was suspended included (CLOCK_BOOTTIME): what leases are counted
/// on, because a lease goes on ending while its holder sleeps. The same for all processes of the machine.
struct boot_clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<boot_clock>;
  static constexpr bool is_steady = true;

  [[nodiscard]] static time_point now() noexcept;
};

}  // namespace heddle::dist
