#pragma once

#include <atomic>
#include <cstdint>

namespace heddle::sys {

/// Sleeps while `word` holds `expected`, until woken, until the steady clock reaches `until_ns` (the largest value:
/// for ever), or spuriously.
///
/// @return 0 when woken, EAGAIN when the word differed, ETIMEDOUT, or EINTR.
/// Source: futex(2), FUTEX_WAIT_BITSET with an absolute CLOCK_MONOTONIC time.
int futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t until_ns) noexcept;

/// Wakes at most `count` sleepers of `word`. The word may already be gone: the kernel only compares addresses.
void futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept;

/// The steady clock's reading in nanoseconds.
[[nodiscard]] std::int64_t steady_now_ns() noexcept;

/// How many CPUs this process may run on, read once at the first call.
[[nodiscard]] unsigned allowed_cpus() noexcept;

/// The kernel's id of the calling thread.
[[nodiscard]] std::uint32_t thread_id() noexcept;

}  // namespace heddle::sys
