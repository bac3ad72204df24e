#pragma once

#include <heddle/sys/compiler.hpp>
#include <heddle/sys/futex.hpp>

#include <cstdint>

namespace heddle::channels {

/// What one look at a channel says.
enum class look : std::uint8_t { on, worth_a_try, in_vain };

/// How long a thread looks at an empty or full channel before it sleeps. Chosen among 0, 500, 1500 and 4000 by a
/// channel of 100 items between 1:1, 2:2 and 4:4 threads on two CPUs: longer costs more CPU for each item than it saves.
inline constexpr std::int64_t spin_ns = 500;

/// Looks for a bounded time; true: it is worth a try.
template <class Look>
[[nodiscard]] bool look_for_a_while(Look once) noexcept {
  if (sys::allowed_cpus() == 1) return false;
  const std::int64_t until = sys::steady_now_ns() + spin_ns;
  do {
    for (int i = 0; i < 32; ++i) {
      if (const look found = once(); found != look::on) return found == look::worth_a_try;
      sys::spin_pause();
    }
  } while (sys::steady_now_ns() < until);
  return false;
}

}  // namespace heddle::channels
