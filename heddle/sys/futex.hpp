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

/// A lock word of the kernel's that hands the waiters' priority down to the holder: 0 when free, else the holder's
/// thread id, with these bits. Whoever finds it 0 may put its own thread id there, and whoever finds nothing but its
/// thread id may put 0 there, without the kernel; everything else is the kernel's to change.
inline constexpr std::uint32_t pi_waiters_bit = 1U << 31;
inline constexpr std::uint32_t pi_owner_died_bit = 1U << 30;
inline constexpr std::uint32_t pi_thread_mask = pi_owner_died_bit - 1;

/// Takes such a word for the calling thread; sleeps while another holds it, until the steady clock reaches `until_ns`
/// (the largest value: for ever). On a kernel that lacks FUTEX_LOCK_PI2 (before 5.14), the limit is kept on the
/// wall clock, so a step of that clock shortens or lengthens it.
///
/// @return 0: taken, in the waiting order of the kernel (by priority); ETIMEDOUT; EDEADLK: the calling thread holds it
/// or the wait would close a circle of such words; ESRCH: the holder's thread has ended and nobody waited (if somebody
/// did, it is taken with pi_owner_died_bit); EPERM: the word is a copy made by fork(2), and the holder's thread is not
/// here. Never EAGAIN or EINTR. Source: futex(2), FUTEX_LOCK_PI2.
int futex_lock_pi(std::atomic<std::uint32_t>& word, std::int64_t until_ns) noexcept;

/// The half of futex_lock_pi for kernels without FUTEX_LOCK_PI2; for its tests.
int futex_lock_pi_by_wall_clock(std::atomic<std::uint32_t>& word, std::int64_t until_ns) noexcept;

/// Hands such a word to the waiter with the highest priority, or frees it.
/// @return 0, or EPERM: the calling thread does not hold it. Source: futex(2), FUTEX_UNLOCK_PI.
int futex_unlock_pi(std::atomic<std::uint32_t>& word) noexcept;

/// The steady clock's reading in nanoseconds.
[[nodiscard]] std::int64_t steady_now_ns() noexcept;

/// How many CPUs this process may run on, read once at the first call.
[[nodiscard]] unsigned allowed_cpus() noexcept;

/// The kernel's id of the calling thread: asked once for each thread, and again in the child of fork(2).
/// Never inlined, as a coroutine may go on on another thread.
[[nodiscard, gnu::noinline]] std::uint32_t thread_id() noexcept;

}  // namespace heddle::sys
