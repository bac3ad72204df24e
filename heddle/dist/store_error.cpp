#include <heddle/dist/lock_error.hpp>
#include <heddle/dist/store_error.hpp>

namespace heddle::dist {

std::string_view to_string(store_errc code) noexcept {
  switch (code) {
    case store_errc::in_use: return "in_use";
    case store_errc::unreadable: return "unreadable";
    case store_errc::corrupt: return "corrupt";
    case store_errc::full: return "full";
    case store_errc::busy: return "busy";
    case store_errc::constraint: return "constraint";
    case store_errc::refused: return "refused";
    case store_errc::rolled_back: return "rolled_back";
    case store_errc::outcome_unknown: return "outcome_unknown";
    case store_errc::closed: return "closed";
    case store_errc::timeout: return "timeout";
    case store_errc::stopped: return "stopped";
    case store_errc::stale_attempt: return "stale_attempt";
    case store_errc::stale_fence: return "stale_fence";
  }
  return "unknown";
}

std::string_view to_string(lock_error error) noexcept {
  switch (error) {
    case lock_error::would_block: return "would_block";
    case lock_error::timeout: return "timeout";
    case lock_error::stopped: return "stopped";
    case lock_error::not_owner: return "not_owner";
    case lock_error::lease_lost: return "lease_lost";
    case lock_error::stale_fence: return "stale_fence";
    case lock_error::deadlock: return "deadlock";
    case lock_error::outcome_unknown: return "outcome_unknown";
    case lock_error::not_durable: return "not_durable";
    case lock_error::unavailable: return "unavailable";
  }
  return "unknown";
}

}  // namespace heddle::dist
