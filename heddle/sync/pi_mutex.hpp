#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/origin.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/agent.hpp>
#include <heddle/park/holds.hpp>
#include <heddle/park/resource.hpp>
#include <heddle/sys/compiler.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <mutex>
#include <source_location>

namespace heddle {

/// A mutual-exclusion lock for threads whose waiters lend the holder their priority, 16 bytes.
///
/// For threads with real-time priorities that share data: while a thread of high priority waits, the kernel runs the
/// holder at that priority, so nothing in between keeps it from letting go. Waiters get the lock in the order of their
/// priorities. Where no such threads are, use mutex: it is faster when it is wanted, and serves tasks.
///
/// The kernel puts the waiter to sleep, so there is no stop token and no async_lock(): a wait ends with the lock or with its
/// deadline, and watch shows it but cannot break it. A task may use it; it then blocks its thread, and it is
/// the thread that runs the holder that is boosted. The task must unlock on the thread on which it locked, so it holds it
/// over no co_await that can change the thread.
///
/// - Only one thread at a time holds it. [test: pi_mutex.excludes]
/// - What was done before unlock() is seen after the next lock(), handed over by the kernel or not. [test: pi_mutex.excludes,
///   pi_mutex.what_was_done_under_it_is_seen_by_whom_the_kernel_hands_it_to]
/// - A waiter of high priority waits no longer than the holder's critical section, whatever has a priority in between.
///   [test: pi_mutex_inheritance.the_high_waits_no_longer_than_the_low_ones_section]
/// - Waiters get it by priority, not by age. [test: pi_mutex_inheritance.the_highest_waiter_comes_first]
/// - A wait tells who waits for what and who holds it. [test: pi_mutex.a_wait_tells_who_waits_for_what_and_who_holds_it]
///
/// Fairness: once somebody sleeps in the kernel, an unlock hands the lock to the waiter with the highest priority, the
/// oldest among equals; a thread that comes while it is free takes it at once.
/// Cost: one compare-and-swap to lock, one to unlock, without waiters; with waiters one system call each.
/// Thread-safety: all members from any thread. Not async-signal-safe.
///
/// Outcomes:
/// - Destroyed as soon as the last unlock has let the next holder in: allowed.
///   [test: pi_mutex.may_be_destroyed_right_after_the_last_unlock]
/// - Destroyed while it is held or waited for: ends the program, but not while the process exits.
///   [test: pi_mutex_misuse.destroying_what_is_held_is_fatal, pi_mutex_misuse.one_that_is_held_at_exit_is_no_misuse]
/// - Locked twice by one agent with lock(): ends the program; lock_until() says wait_error::deadlock.
///   [test: pi_mutex_misuse.locking_twice_is_fatal, pi_mutex.what_could_never_end_is_told]
/// - Locked by a task while another task of the same thread holds it: the same, as the thread would wait for itself.
///   [test: pi_mutex_misuse.waiting_for_a_task_of_the_same_thread_is_fatal, pi_mutex.what_could_never_end_is_told]
/// - Unlocked by an agent that does not hold it, or by a task on another thread than it locked on: ends the program.
///   [test: pi_mutex_misuse.unlocking_what_is_not_held_is_fatal, pi_mutex_misuse.unlocking_on_another_thread_is_fatal]
/// - A circle of pi_mutexes: lock_until() says wait_error::deadlock at once; lock() waits, shown as any deadlock is, until
///   somebody in the circle gives up. [test: pi_mutex.a_circle_is_told_to_who_can_give_up,
///   pi_mutex.a_circle_ends_when_somebody_gives_up]
/// - A thread ends while it holds it: reported. The lock is then lost, because what it protects may be half done: lock()
///   ends the program, lock_until() says wait_error::closed, try_lock() fails; so for those who waited, too.
///   [test: pi_mutex_misuse.a_thread_that_ends_while_it_holds_it_is_reported,
///   pi_mutex_misuse.locking_what_an_ended_thread_held_is_fatal, pi_mutex.what_an_ended_thread_held_is_lost,
///   pi_mutex.who_waits_for_a_thread_that_ends_is_told]
/// - A task ends while it holds it: ends the program. [test: pi_mutex_misuse.a_task_that_ends_while_it_holds_it_is_fatal]
/// - fork: what the forking thread held, it holds in the child; what others held, stays locked there.
///   [test: pi_mutex_fork.the_child_lets_go_of_what_the_forking_thread_held]
class HEDDLE_THREAD_SAFETY(capability("mutex")) pi_mutex {
 public:
  /// A mutex called after the place where it is made.
  constexpr explicit(false) pi_mutex(std::source_location made = std::source_location::current()) noexcept
      : origin_{made} {}

  /// A mutex with a name; the text must live as long as the program (a literal).
  constexpr explicit pi_mutex(const char* name) noexcept : holder_{named_bit}, origin_{name} {}

  pi_mutex(const pi_mutex&) = delete;
  pi_mutex& operator=(const pi_mutex&) = delete;
  ~pi_mutex() {
    if (word_.load(std::memory_order_relaxed) != 0) destroyed_in_use();
  }

  /// Waits until it holds the lock.
  void lock(std::source_location site = std::source_location::current()) noexcept
      HEDDLE_THREAD_SAFETY(acquire_capability());

  /// Takes the lock if it is free.
  /// - Never waits. [test: pi_mutex.try_lock_fails_without_waiting]
  [[nodiscard]] bool try_lock() noexcept HEDDLE_THREAD_SAFETY(try_acquire_capability(true));

  /// Waits until it holds the lock or the deadline comes (wait_error::timeout). Before Linux 5.14 the deadline is kept on
  /// the wall clock.
  /// - A free lock is taken even if the deadline has passed. [test: pi_mutex.a_free_lock_is_taken_even_late]
  /// - A waiter that gives up leaves nothing behind. [test: pi_mutex.a_timeout_leaves_no_waiter_behind]
  [[nodiscard]] std::expected<std::unique_lock<pi_mutex>, wait_error> lock_until(
      deadline until, std::source_location site = std::source_location::current()) noexcept;

  /// lock_until for the standard's TimedLockable; true when it holds the lock.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> wait) noexcept
      HEDDLE_THREAD_SAFETY(try_acquire_capability(true)) {
    return take_until(deadline::after(wait), std::source_location::current()).has_value();
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> when) noexcept
      HEDDLE_THREAD_SAFETY(try_acquire_capability(true)) {
    return take_until(deadline::at(when), std::source_location::current()).has_value();
  }

  /// Lets go: hands the lock to the waiter with the highest priority, or frees it. The last access to the mutex.
  void unlock() noexcept HEDDLE_THREAD_SAFETY(release_capability());

  /// Whether the current agent holds it.
  [[nodiscard]] bool held_by_me() const noexcept;

  /// The id of the agent that holds it, 0 if it is free; already old when it returns.
  /// - The ended thread's, once it is lost. [test: pi_mutex.what_an_ended_thread_held_is_lost]
  [[nodiscard]] std::uint32_t holder() const noexcept {
    return holder_.load(std::memory_order_relaxed) >> holder_shift;
  }

 private:
  static constexpr std::uint32_t named_bit = 1;
  static constexpr std::uint32_t lost_bit = 2;
  static constexpr std::uint8_t holder_shift = 2;

  [[nodiscard]] park::resource resource() const noexcept;
  [[nodiscard]] park::held_as held(bool tried) const noexcept;
  [[nodiscard]] std::expected<void, wait_error> take_until(deadline until, std::source_location site) noexcept;
  [[nodiscard]] std::expected<void, wait_error> take(agent& self, const deadline* until,
                                                     std::source_location site) noexcept;
  [[nodiscard]] std::expected<void, wait_error> sleep_for_it(const deadline* until, std::source_location site) noexcept;
  [[nodiscard]] bool take_word(std::uint32_t thread) noexcept;
  [[nodiscard]] bool spin(std::uint32_t thread) noexcept;
  [[nodiscard]] bool thread_waits_for_itself() const noexcept;
  [[nodiscard]] bool note_holder(const agent& self) noexcept;
  void give_word(std::uint32_t thread) noexcept;
  void lock_slow(std::source_location site, const void* caller) noexcept;
  void destroyed_in_use() const noexcept;

  std::atomic<std::uint32_t> word_{0};    // the kernel's: see sys/futex.hpp
  std::atomic<std::uint32_t> holder_{0};  // see pi_mutex.cpp
  origin origin_;                         // constant
};

static_assert(sizeof(pi_mutex) == 16);

}  // namespace heddle
