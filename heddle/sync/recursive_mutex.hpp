#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/holds.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/turnstile_wait.hpp>
#include <heddle/sys/compiler.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <mutex>
#include <source_location>
#include <stop_token>

namespace heddle {

class recursive_mutex_lock_awaiter;
class recursive_mutex_lock_until_awaiter;

/// A mutex that its holder may lock again, 24 bytes: it is free once it has been unlocked as often as it was locked.
///
/// For code that was written for one. In new code, a function that needs the lock held says so and does not take it:
/// with a mutex, what is protected is whole whenever the lock is taken; under a lock taken again it may be half changed.
/// The holder is the agent: a task that calls a blocking lock() on a mutex that it got by async_lock() locks it again,
/// the thread that runs the task does not.
///
/// - Its holder locks it again without waiting, in every way of locking.
///   [test: recursive_mutex.its_holder_locks_it_again_in_every_way]
/// - It is free after as many unlocks, not before. [test: recursive_mutex.is_free_after_as_many_unlocks]
/// - Only one agent at a time holds it, threads and tasks alike. [test: recursive_mutex.threads_and_tasks_exclude_each_other]
/// - A held list shows it once, as long as it is held. [test: recursive_mutex.is_held_once_however_often_it_is_locked]
/// - Clang's thread-safety analysis knows no recursion: locking twice in one function is warned of.
///   [test: compile_fail.locking_a_recursive_mutex_twice_in_one_function]
///
/// Fairness: the mutex's. Cost: the mutex's, and a count; locking again is a load and a count.
/// Thread-safety: all members from any thread. Not async-signal-safe.
///
/// Outcomes:
/// - Destroyed as soon as the last unlock has let the next holder in: allowed.
///   [test: recursive_mutex.may_be_destroyed_right_after_the_last_unlock]
/// - Destroyed while it is held or waited for: ends the program, but not while the process exits.
///   [test: recursive_mutex_misuse.destroying_what_is_held_is_fatal,
///   recursive_mutex_misuse.one_that_is_held_at_exit_is_no_misuse]
/// - Unlocked by an agent that does not hold it, or once too often: ends the program.
///   [test: recursive_mutex_misuse.unlocking_what_is_not_held_is_fatal]
/// - Locked more than `max_depth` times by one agent: ends the program.
///   [test: recursive_mutex_misuse.locking_it_too_deep_is_fatal]
/// - A thread ends while it holds it: reported, and it stays locked for ever. A task that does ends the program.
///   [test: recursive_mutex_misuse.ending_while_holding_is_reported_for_a_thread_and_fatal_for_a_task]
/// - fork: what the forking agent held, it holds in the child, as deep. [test: recursive_mutex_fork.the_child_holds_it_as_deep]
class HEDDLE_THREAD_SAFETY(capability("mutex")) recursive_mutex {
 public:
  /// How often one agent can have locked it.
  static constexpr std::uint32_t max_depth = (1U << 24) - 1;

  /// A mutex called after the place where it is made.
  constexpr explicit(false) recursive_mutex(std::source_location made = std::source_location::current()) noexcept
      : mutex_{made} {}

  /// A mutex with a name; the text must live as long as the program (a literal).
  constexpr explicit recursive_mutex(const char* name) noexcept : mutex_{name} {}

  recursive_mutex(const recursive_mutex&) = delete;
  recursive_mutex& operator=(const recursive_mutex&) = delete;
  ~recursive_mutex() = default;

  /// Waits until it holds the lock.
  void lock(std::source_location site = std::source_location::current()) noexcept
      HEDDLE_THREAD_SAFETY(acquire_capability());

  /// Takes the lock if that is possible now. Also false when a waiter has been passed over for too long.
  /// - Never waits. [test: recursive_mutex.try_lock_fails_without_waiting]
  [[nodiscard]] bool try_lock() noexcept HEDDLE_THREAD_SAFETY(try_acquire_capability(true));

  /// Waits until it holds the lock, the deadline comes (wait_error::timeout), `stop` fires (wait_error::stopped), or the
  /// wait is chosen to break a deadlock (wait_error::deadlock).
  /// - One that it holds is locked again, even late. [test: recursive_mutex.its_holder_locks_it_again_in_every_way]
  /// - A waiter that gives up leaves nothing behind. [test: recursive_mutex.one_that_gives_up_leaves_nothing_behind]
  [[nodiscard]] std::expected<std::unique_lock<recursive_mutex>, wait_error> lock_until(
      deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) noexcept;

  /// lock_until for the standard's TimedLockable; true when it holds the lock.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> wait) noexcept
      HEDDLE_THREAD_SAFETY(try_acquire_capability(true)) {
    return take_until(deadline::after(wait), {}, std::source_location::current()).has_value();
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> when) noexcept
      HEDDLE_THREAD_SAFETY(try_acquire_capability(true)) {
    return take_until(deadline::at(when), {}, std::source_location::current()).has_value();
  }

  /// Undoes one lock; the last one lets go and wakes the oldest waiter, and is the last access to the mutex.
  void unlock() noexcept HEDDLE_THREAD_SAFETY(release_capability());

  /// For tasks: `std::unique_lock lock = co_await m.async_lock();` When the task is stopped while it waits, it unwinds.
  [[nodiscard]] recursive_mutex_lock_awaiter async_lock(
      std::source_location site = std::source_location::current()) noexcept;

  /// For tasks: awaits std::expected<std::unique_lock<recursive_mutex>, wait_error>, see lock_until.
  [[nodiscard]] recursive_mutex_lock_until_awaiter async_lock_until(
      deadline until, std::stop_token stop = {}, std::source_location site = std::source_location::current()) noexcept;

  /// Whether the current agent holds it.
  [[nodiscard]] bool held_by_me() const noexcept { return mutex_.held_by_me(); }

  /// How often the current agent has locked it; 0 when it does not hold it.
  [[nodiscard]] std::uint32_t depth() const noexcept {
    return held_by_me() ? again_.load(std::memory_order_relaxed) + 1 : 0;
  }

  /// The id of the agent that holds it, 0 if it is free; already old when it returns.
  [[nodiscard]] std::uint32_t holder() const noexcept { return mutex_.holder(); }

 private:
  friend class recursive_mutex_lock_awaiter;
  friend class recursive_mutex_lock_until_awaiter;

  [[nodiscard]] std::expected<void, wait_error> take_until(deadline until, const std::stop_token& stop,
                                                           std::source_location site) noexcept;
  // For a task: takes it without waiting, for the first time or again; false: another holds it.
  [[nodiscard]] bool take_now(bool& again) noexcept;
  void lock_again() noexcept;
  [[nodiscard]] park::held_as held(bool tried) const noexcept;
  void lock_slow(std::source_location site, const void* caller) noexcept;
  void unlock_slow() noexcept;

  mutex mutex_;
  std::atomic<std::uint32_t> again_{0};  // how often its holder has locked it besides; see recursive_mutex.cpp
};

static_assert(sizeof(recursive_mutex) == 24);

/// What recursive_mutex::async_lock() returns: awaits std::unique_lock<recursive_mutex>.
class [[nodiscard]] recursive_mutex_lock_awaiter final : public sync::turnstile_wait<mutex::rule> {
 public:
  /// Called on resumption: the task holds the lock.
  std::unique_lock<recursive_mutex> await_resume() noexcept;

 private:
  friend class recursive_mutex;
  recursive_mutex_lock_awaiter(recursive_mutex& m, std::source_location site) noexcept;
  [[nodiscard]] bool ready() noexcept override;
  recursive_mutex& mutex_;
  bool again_ = false;  // the task held it already
};

/// What recursive_mutex::async_lock_until() returns: awaits std::expected<std::unique_lock<recursive_mutex>, wait_error>.
class [[nodiscard]] recursive_mutex_lock_until_awaiter final : public sync::turnstile_wait<mutex::rule> {
 public:
  /// Called on resumption: the task holds the lock, or the error says why not.
  std::expected<std::unique_lock<recursive_mutex>, wait_error> await_resume() noexcept;

 private:
  friend class recursive_mutex;
  recursive_mutex_lock_until_awaiter(recursive_mutex& m, deadline until, std::stop_token stop,
                                     std::source_location site) noexcept;
  [[nodiscard]] bool ready() noexcept override;
  recursive_mutex& mutex_;
  bool again_ = false;  // the task held it already
};

}  // namespace heddle
