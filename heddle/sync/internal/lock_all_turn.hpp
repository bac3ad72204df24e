#pragma once

#include <heddle/sync/backoff.hpp>
#include <heddle/sync/lock_all.hpp>
#include <heddle/sync/semaphore.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <source_location>
#include <span>

namespace heddle::sync {

/// No lock of them.
inline constexpr std::size_t none = static_cast<std::size_t>(-1);

/// By address. Fatal when one is there twice.
void put_in_order(std::span<lock_handle> locks, std::source_location site);

/// With `first` held (or none), tries the others.
/// @return none: all are held; else one that was refused, and none is held. Nor is one when it throws.
[[nodiscard]] std::size_t try_others(std::span<const lock_handle> locks, std::size_t first);

/// The agent's held list says that they were taken there.
void say_where(std::span<const lock_handle> locks, const void* taken_at) noexcept;

/// The turn to go on without pausing.
[[nodiscard]] semaphore& the_turn() noexcept;

/// What those who have been refused do before they wait for the next lock, see lock_all.cpp.
class refusals {
 public:
  explicit refusals(std::source_location site) noexcept;

  /// After a refusal: until when to wait for the turn; nothing: go on at once.
  [[nodiscard]] std::optional<deadline> pause() noexcept;
  void has_turn(semaphore_permit turn) noexcept { turn_ = std::move(turn); }

 private:
  backoff pace_;
  semaphore_permit turn_;
};

}  // namespace heddle::sync
