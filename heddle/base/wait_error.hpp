#pragma once

#include <cstdint>
#include <string_view>

namespace heddle {

/// Why a wait ended without what was waited for.
enum class wait_error : std::uint8_t {
  timeout,   ///< the deadline came first
  stopped,   ///< the stop_token that was passed was triggered first
  deadlock,  ///< the waiter was chosen as the victim that breaks a deadlock
  closed,    ///< what was waited on was closed and will never deliver again
};

/// The error's name in lower case: "timeout", "stopped", "deadlock" or "closed".
[[nodiscard]] constexpr std::string_view to_string(wait_error error) noexcept {
  switch (error) {
    case wait_error::timeout: return "timeout";
    case wait_error::stopped: return "stopped";
    case wait_error::deadlock: return "deadlock";
    case wait_error::closed: return "closed";
  }
  return "unknown";
}

}  // namespace heddle
