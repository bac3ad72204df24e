#pragma once

#include <heddle/base/origin.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <source_location>

namespace heddle {

/// How long and how often to try again.
struct backoff_options {
  std::chrono::nanoseconds first = std::chrono::milliseconds{1};   ///< the ceiling of the first pause
  std::chrono::nanoseconds most = std::chrono::milliseconds{100};  ///< no pause has a higher ceiling
  std::uint32_t attempts = 12;                                     ///< how many tries in all; 0: without end
  std::uint64_t seed = 0;  ///< of the jitter; 0: one of its own, different each time
};

/// Pauses between attempts: exponential, with full jitter (each pause is drawn evenly from zero to a ceiling that
/// doubles), so that those who collided do not collide again. Only the arithmetic: the caller sleeps.
///
/// - A pause is never above the ceiling, which doubles up to `most`. [test: backoff.pauses_stay_below_a_doubling_ceiling]
/// - The same seed gives the same pauses. [test: backoff.the_same_seed_gives_the_same_pauses]
/// - It ends after as many attempts as were allowed. [test: backoff.ends_after_the_allowed_attempts]
/// - Many attempts in a row are told to watch, which reports a livelock under its name, else the place where it was made;
///   reset() says that something was achieved. [test: backoff.many_attempts_in_a_row_are_reported_by_name_or_place,
///   backoff.attempts_between_which_something_was_achieved_are_not_reported]
///
/// Thread-safety: one owner. Cost: a few nanoseconds; a call of watch at each 16th attempt.
///
/// Outcomes: it holds nothing and waits for nothing, so it may be copied, dropped or be carried through fork at any time; a
/// copy goes on with the same pauses. [test: backoff.a_copy_goes_on_with_the_same_pauses]
class backoff {
 public:
  /// One called after the place where it is made.
  explicit backoff(backoff_options options = {}, std::source_location made = std::source_location::current()) noexcept
      : backoff{options, origin{made}, false} {}
  /// One with a name for what is attempted; the text must live as long as the program (a literal).
  explicit backoff(const char* name, backoff_options options = {}) noexcept : backoff{options, origin{name}, true} {}

  /// To be called after a failed attempt: how long to pause before the next one, or nothing when that was the last.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> next() noexcept {
    ++attempts_;
    if (attempts_ % told_every == 0) tell();
    if (options_.attempts != 0 && attempts_ >= options_.attempts) return std::nullopt;
    const auto ceiling = static_cast<std::uint64_t>(std::max<std::int64_t>(0, ceiling_.count()));
    ceiling_ = ceiling_ > options_.most / 2 ? options_.most : ceiling_ * 2;
    return std::chrono::nanoseconds{static_cast<std::int64_t>(draw() % (ceiling + 1))};
  }

  /// How many attempts have failed.
  [[nodiscard]] std::uint32_t attempts() const noexcept { return attempts_; }

  /// After progress: begins again with the shortest pause.
  void reset() noexcept {
    attempts_ = 0;
    ceiling_ = options_.first;
  }

 private:
  static constexpr std::uint32_t told_every = 16;

  backoff(backoff_options options, origin where, bool named) noexcept
      : options_{options},
        state_{options.seed != 0 ? options.seed : fresh_seed()},
        ceiling_{options.first},
        origin_{where},
        named_{named} {}
  void tell() const noexcept;

  // splitmix64.
  std::uint64_t draw() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }
  static std::uint64_t fresh_seed() noexcept;

  backoff_options options_;
  std::uint64_t state_;
  std::chrono::nanoseconds ceiling_;
  origin origin_;
  std::uint32_t attempts_ = 0;
  bool named_;
};

}  // namespace heddle
