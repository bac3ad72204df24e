#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

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
///
/// Thread-safety: one owner.
class backoff {
 public:
  explicit backoff(backoff_options options = {}) noexcept
      : options_{options}, state_{options.seed != 0 ? options.seed : fresh_seed()}, ceiling_{options.first} {}

  /// To be called after a failed attempt: how long to pause before the next one, or nothing when that was the last.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> next() noexcept {
    ++attempts_;
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
  std::uint32_t attempts_ = 0;
};

}  // namespace heddle
