#pragma once

#include <heddle/io/timer_entry.hpp>

#include <cstdint>
#include <optional>

namespace heddle::io {

/// Timers ordered by tick: setting and taking back are a few instructions, whatever their number. Knows no clock; a
/// tick is what the caller says it is.
///
/// - A timer is due at its tick, neither earlier nor later. [test: timer_wheel.each_timer_is_due_exactly_at_its_tick]
/// - One that is taken back never comes. [test: timer_wheel.a_timer_taken_back_never_comes]
/// - No tick is too far away. [test: timer_wheel.a_far_future_is_kept_exactly]
/// Thread-safety: none.
class timer_wheel {
 public:
  timer_wheel() = default;
  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  /// Sets `entry`, which must not be set, for `tick` (at most max_tick); one in the past is due at the next pop_due().
  void set(timer_entry& entry, std::int64_t tick) noexcept;

  /// Takes it back; nothing happens if it is not set.
  void clear(timer_entry& entry) noexcept;

  /// Takes out one timer that is due at `now`, or returns null when there is none. `now` never goes back.
  [[nodiscard]] timer_entry* pop_due(std::int64_t now) noexcept;

  /// A tick before which nothing is due; at that tick call pop_due(), which finds a timer due or only sorts some.
  [[nodiscard]] std::optional<std::int64_t> next() const noexcept;

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Lets an empty wheel begin at `now`.
  void start_at(std::int64_t now) noexcept { elapsed_ = now; }

  static constexpr int bits = 6;  // of a tick, per level
  static constexpr int levels = 8;
  static constexpr int slots = 1 << bits;
  static constexpr std::int64_t max_tick = (std::int64_t{1} << (bits * levels)) - 1;

 private:
  struct position {
    int level;
    int slot;
    std::int64_t tick;  // at which the slot begins
  };
  [[nodiscard]] std::optional<position> first() const noexcept;
  void link(timer_entry& entry) noexcept;
  void unlink(timer_entry& entry) noexcept;

  timer_entry* lists_[levels * slots] = {};
  std::uint64_t occupied_[levels] = {};  // bit n: list n of the level is not empty
  std::int64_t elapsed_ = 0;
  std::size_t size_ = 0;
};

}  // namespace heddle::io
