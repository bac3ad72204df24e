#pragma once

#include <heddle/base/origin.hpp>

#include <atomic>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace heddle {

/// What an agent can wait for.
/// - Each kind has a name of its own. [test: resource.every_kind_has_a_name_of_its_own]
enum class resource_kind : std::uint8_t {
  none,
  mutex,
  semaphore,
  condition,
  event,
  join,  ///< the end of a thread, task or scope
  future,
  channel,
  timer,
  socket,
  signal,
  pool,   ///< room in a pool's queue, or its idleness
  lease,  ///< a lock across processes or machines
  other,
  latch,
  barrier,
  once,  ///< the end of another agent's run of it
  shared_mutex,
};

inline constexpr std::string_view resource_kind_names[] = {
    "none",   "mutex",  "semaphore", "condition", "event", "join",  "future",  "channel", "timer",
    "socket", "signal", "pool",      "lease",     "other", "latch", "barrier", "once",    "shared_mutex"};

/// The kind's name in lower case, as the inspector shows it.
[[nodiscard]] constexpr std::string_view to_string(resource_kind kind) noexcept {
  return resource_kind_names[static_cast<unsigned>(kind)];
}

/// Whether it is one of the kinds: for what was read from elsewhere.
[[nodiscard]] constexpr bool is_known(resource_kind kind) noexcept {
  return static_cast<unsigned>(kind) < std::size(resource_kind_names);
}

namespace park {

/// What a wait is about, as the wait record shows it.
struct resource {
  resource_kind kind = resource_kind::other;
  const void* address = nullptr;
  origin made{"unnamed"};                             ///< the name, or where it was made
  bool named = true;                                  ///< which of the two `made` is
  const std::atomic<std::uint32_t>* owner = nullptr;  ///< the word that holds the holder's id, or null
  std::uint8_t owner_shift = 0;                       ///< the id is word >> owner_shift
  bool shared = false;                                ///< the wait is for a share of it: to read
  bool breakable = false;                             ///< the waiting call can return wait_error::deadlock

  /// The same for a call that can return wait_error::deadlock.
  [[nodiscard]] constexpr resource for_breakable_call() const noexcept {
    resource result = *this;
    result.breakable = true;
    return result;
  }

  /// A resource that has a name and no holder.
  static constexpr resource of(resource_kind kind, const void* address, const char* name) noexcept {
    return {kind, address, origin{name}, true, nullptr, 0};
  }
};

}  // namespace park
}  // namespace heddle
