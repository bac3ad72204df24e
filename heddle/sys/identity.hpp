#pragma once

#include <cstdint>
#include <string>

namespace heddle::sys {

/// Nanoseconds since the machine was started, suspension included. Source: clock_gettime(2), CLOCK_BOOTTIME.
[[nodiscard]] std::int64_t boot_now_ns() noexcept;

/// Milliseconds since 1970 on the wall clock.
[[nodiscard]] std::int64_t wall_now_ms() noexcept;

/// The kernel's id of this start of the machine: readings of the boot clock compare only under one id.
[[nodiscard]] std::string boot_id();

/// 128 random bits as 32 hexadecimal digits, from the kernel: unique and not to be guessed.
[[nodiscard]] std::string random_id();

/// The kernel's id of this process.
[[nodiscard]] std::uint32_t process_id() noexcept;

}  // namespace heddle::sys
