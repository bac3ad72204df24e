#pragma once

#include <heddle/base/deadline.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace heddle::http::internal {

/// How fast a peer has to be. A slow client gets `grace` to begin, then has to keep up `min_rate` on average, and is
/// cut off at `most` however fast it is; a trickle of single bytes buys it almost nothing.
struct pace {
  std::chrono::milliseconds grace;
  std::chrono::milliseconds most;
  std::uint64_t min_rate;  ///< bytes per second; 0: no rate

  /// When a transfer that began at `start` and has moved `bytes` so far is given up, unless more moves before.
  [[nodiscard]] deadline due(std::chrono::steady_clock::time_point start, std::uint64_t bytes) const noexcept {
    const auto last = start + most;
    if (min_rate == 0) return last;
    // A day's worth of bytes is as good as any more, and keeps the multiplication in range.
    const std::uint64_t seconds = bytes / min_rate;
    if (seconds > 86'400) return last;
    const std::uint64_t rest = bytes % min_rate * 1000 / min_rate;
    return std::min(last, start + grace + std::chrono::milliseconds(seconds * 1000 + rest));
  }
};

}  // namespace heddle::http::internal
