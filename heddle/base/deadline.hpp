#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>

namespace heddle {

/// An absolute moment on the steady clock after which an operation no longer waits, or `never`.
///
/// Every operation of heddle that can wait takes one. A relative time is turned into a deadline once, at the outermost
/// call, so that a chain of operations shares it. A deadline in the past makes an operation fail at once if it would
/// wait; what can be done without waiting is still done.
///
/// - `never` does not pass, and comes after every other. [test: deadline.never_does_not_pass,
///   deadline.is_ordered_by_time_with_never_last]
/// - A wait too long to be represented is never. [test: deadline.a_wait_too_long_to_represent_is_never]
/// - A negative wait has passed. [test: deadline.a_negative_wait_has_passed]
class deadline {
 public:
  using clock = std::chrono::steady_clock;

  /// The deadline that never comes.
  constexpr deadline() noexcept = default;

  /// The given moment. Implicit, so that a time_point can be passed where a deadline is expected.
  template <class Duration>
  constexpr deadline(std::chrono::time_point<clock, Duration> when) noexcept
      : ns_{std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count()} {}

  /// The deadline that never comes.
  [[nodiscard]] static constexpr deadline never() noexcept { return {}; }

  /// Now plus `wait`; a wait too long to be represented is `never`, a negative one has already passed.
  template <class Rep, class Period>
  [[nodiscard]] static deadline after(std::chrono::duration<Rep, Period> wait) noexcept {
    const double ns = std::chrono::duration<double, std::nano>(wait).count();
    const std::int64_t now = clock::now().time_since_epoch().count();
    if (ns >= static_cast<double>(never_ns - now)) return never();
    if (ns <= -static_cast<double>(now)) return at_ns(0);
    deadline result;
    result.ns_ = now + std::chrono::duration_cast<std::chrono::nanoseconds>(wait).count();
    return result;
  }

  /// The moment of any clock, as far from now on the steady clock as it is on its own.
  /// - One too far away to be represented is never, or has passed.
  ///   [test: deadline.a_moment_of_another_clock_may_be_as_far_away_as_it_likes]
  template <class Clock, class Duration>
  [[nodiscard]] static deadline at(std::chrono::time_point<Clock, Duration> when) noexcept {
    using rough = std::chrono::duration<double, std::nano>;
    const auto now = Clock::now();
    const rough away = rough{when.time_since_epoch()} - rough{now.time_since_epoch()};
    const bool exact = away > rough{-4e18} && away < rough{4e18};  // else the difference may overflow
    return exact ? after(when - now) : after(away);
  }

  /// The deadline whose time since the steady clock's epoch is `ns` nanoseconds.
  [[nodiscard]] static constexpr deadline at_ns(std::int64_t ns) noexcept {
    deadline result;
    result.ns_ = ns;
    return result;
  }

  [[nodiscard]] constexpr bool is_never() const noexcept { return ns_ == never_ns; }
  [[nodiscard]] bool has_passed() const noexcept {
    return !is_never() && clock::now().time_since_epoch().count() >= ns_;
  }

  /// Nanoseconds since the steady clock's epoch; the largest value for `never`.
  [[nodiscard]] constexpr std::int64_t ns() const noexcept { return ns_; }
  [[nodiscard]] constexpr clock::time_point time() const noexcept {
    return clock::time_point{std::chrono::nanoseconds{ns_}};
  }

  /// The time left, zero once it has passed; the largest duration for `never`.
  [[nodiscard]] std::chrono::nanoseconds left() const noexcept {
    if (is_never()) return std::chrono::nanoseconds::max();
    const std::int64_t now = clock::now().time_since_epoch().count();
    return std::chrono::nanoseconds{ns_ > now ? ns_ - now : 0};
  }

  constexpr auto operator<=>(const deadline&) const noexcept = default;

 private:
  static constexpr std::int64_t never_ns = std::numeric_limits<std::int64_t>::max();
  std::int64_t ns_{never_ns};
};

}  // namespace heddle
