#pragma once

#include <cstdint>
#include <string_view>

namespace heddle::dist {

/// Why a lock was not had, or is no longer.
enum class lock_error : std::uint8_t {
  would_block,      ///< somebody else holds it, and the caller did not want to wait
  timeout,          ///< the deadline came first
  stopped,          ///< the stop_token that was passed fired first
  not_owner,        ///< the lock is not this lease's: another has it, or nobody
  lease_lost,       ///< the lease has ended before it was released
  stale_fence,      ///< the resource has seen a newer token
  deadlock,         ///< the wait was chosen to break a deadlock
  outcome_unknown,  ///< the engine did not say whether it was done
  not_durable,      ///< done, but it may be forgotten in a crash
  unavailable,      ///< the engine cannot be reached or does not work
};

/// The error's name in lower case, as in the enum.
[[nodiscard]] std::string_view to_string(lock_error error) noexcept;

}  // namespace heddle::dist
