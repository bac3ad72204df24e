#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/origin.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/holds.hpp>
#include <heddle/park/queue.hpp>
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

class mutex_lock_awaiter;
class mutex_lock_until_awaiter;

/// A mutual-exclusion lock for threads and tasks alike, 16 bytes.
///
/// Use guarded<T> where the lock protects one value. Works with std::unique_lock, std::lock_guard and
/// std::scoped_lock. A task locks with `co_await m.async_lock()` which suspends it
/// instead of blocking its thread; a lock taken by a task belongs to the task, on whichever thread it runs.
///
/// - Only one agent at a time holds it. [test: lockable.excludes_threads, task_lockable.excludes_tasks]
/// - What was done before unlock() is seen after the next lock().
///   [test: mutex.what_was_done_under_it_is_seen_under_it, lockable.what_was_done_under_it_is_seen_by_whoever_waited]
/// - Fairness: newcomers may barge in, but once the oldest waiter has been passed over for 1 ms they queue up behind it.
///   [test: mutex.a_waiter_is_not_passed_over_for_long, fair_lockable.a_waiter_is_not_passed_over_for_long]
/// - A woken task whose executor is busy does not keep others out.
///   [test: mutex.a_busy_executor_does_not_keep_others_out]
///
/// Outcomes:
/// - Destroyed as soon as the last unlock has let the next holder in: allowed.
///   [test: lockable.may_be_destroyed_right_after_the_last_unlock,
///   task_lockable.may_be_destroyed_right_after_the_last_unlock]
/// - Destroyed while it is held or waited for: ends the program, but not while the process exits.
///   [test: mutex_misuse.destroying_what_is_held_is_fatal, mutex_misuse.a_lock_that_is_held_at_exit_is_no_misuse,
///   mutex_misuse.a_lock_made_after_the_first_agent_and_held_at_exit_is_none_either]
/// - Locked twice by one agent: ends the program, because it could never succeed.
///   [test: mutex_misuse.locking_twice_is_fatal]
/// - Unlocked by an agent that does not hold it: ends the program.
///   [test: mutex_misuse.unlocking_what_is_not_held_is_fatal]
/// - A thread ends while it holds it: reported, and it stays locked for ever. A task that does ends the program.
///   [test: mutex_misuse.a_thread_that_ends_while_it_holds_a_lock_is_reported,
///   mutex_misuse.a_task_that_ends_while_it_holds_a_lock_is_fatal]
/// - A task is destroyed while it waits: ends the program; stop it and await its end instead.
///   [test: wait_misuse.destroying_a_task_in_its_wait_is_fatal]
/// - fork: what the forking agent held, it holds in the child; what others held stays locked there.
///   [test: agent_fork.the_child_has_its_own_record_file_and_goes_on_locking,
///   agent_fork.what_another_thread_held_stays_held_in_the_child]
///
/// Cost, without waiters: one compare-and-swap to lock, a store in a sequence that the kernel restarts to unlock, and five
/// stores to list it. Somebody has queued up lately: a compare-and-swap to unlock, too.
/// Thread-safety: all members from any thread. Not async-signal-safe.
class HEDDLE_THREAD_SAFETY(capability("mutex")) mutex {
 public:
  /// A mutex called after the place where it is made.
  constexpr explicit(false) mutex(std::source_location made = std::source_location::current()) noexcept
      : queue_{false}, origin_{made} {}

  /// A mutex with a name; the text must live as long as the program (a literal).
  constexpr explicit mutex(const char* name) noexcept : queue_{true}, origin_{name} {}

  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;
  ~mutex() {
    if ((word_.load(std::memory_order_relaxed) & ~sync::careful_bit) != 0) destroyed_in_use();
  }

  /// Waits until it holds the lock.
  void lock(std::source_location site = std::source_location::current()) noexcept
      HEDDLE_THREAD_SAFETY(acquire_capability());

  /// Takes the lock if that is possible now. Also false when a waiter has been passed over for too long.
  /// - Never waits. [test: mutex.try_lock_fails_without_waiting]
  [[nodiscard]] bool try_lock() noexcept HEDDLE_THREAD_SAFETY(try_acquire_capability(true));

  /// Waits until it holds the lock, the deadline comes (wait_error::timeout) or `stop` fires (wait_error::stopped).
  /// - A free lock is taken even if the deadline has passed or stop has fired.
  ///   [test: timed_lockable.a_free_lock_is_taken_even_late, stoppable_lockable.a_free_lock_is_taken_even_when_stopped]
  /// - A waiter that gives up leaves nothing behind. [test: timed_lockable.a_timeout_leaves_no_waiter_behind]
  /// - A stopped waiter does not strand the next. [test: stoppable_lockable.a_stop_does_not_strand_the_next]
  [[nodiscard]] std::expected<std::unique_lock<mutex>, wait_error> lock_until(
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

  /// Lets go; wakes the oldest waiter if there is one. The last access to the mutex.
  void unlock() noexcept HEDDLE_THREAD_SAFETY(release_capability());

  /// For tasks: `std::unique_lock lock = co_await m.async_lock();` When the task is stopped while it waits, it unwinds.
  /// - A task and a thread exclude each other. [test: task_lockable.excludes_threads_and_tasks]
  /// - A task that is stopped while it waits unwinds and leaves nothing behind.
  ///   [test: task_lockable.a_stopped_task_leaves_no_waiter_behind]
  [[nodiscard]] mutex_lock_awaiter async_lock(std::source_location site = std::source_location::current()) noexcept;

  /// For tasks: awaits std::expected<std::unique_lock<mutex>, wait_error>, see lock_until.
  /// - A task's deadline ends its wait.
  ///   [test: timed_task_lockable.a_timeout_leaves_no_waiter_behind_and_strands_nobody]
  [[nodiscard]] mutex_lock_until_awaiter async_lock_until(
      deadline until, std::stop_token stop = {}, std::source_location site = std::source_location::current()) noexcept;

  /// Whether the current agent holds it.
  [[nodiscard]] bool held_by_me() const noexcept;

  /// The id of the agent that holds it, 0 if it is free; already old when it returns.
  [[nodiscard]] std::uint32_t holder() const noexcept;

  struct rule;  // how the turnstile takes and gives: private to sync

 private:
  friend class mutex_lock_awaiter;
  friend class mutex_lock_until_awaiter;
  friend class condition_variable;
  friend class condition_wait_awaiter;
  friend class recursive_mutex;  // is a mutex and a count
  friend class recursive_mutex_lock_awaiter;
  friend class recursive_mutex_lock_until_awaiter;

  [[nodiscard]] park::resource resource() const noexcept;
  [[nodiscard]] std::expected<void, wait_error> take_until(deadline until, const std::stop_token& stop,
                                                           std::source_location site) noexcept;
  [[nodiscard]] park::held_as held(bool tried) const noexcept;
  void lock_slow(std::source_location site, const void* caller) noexcept;
  void unlock_slow() noexcept;
  void destroyed_in_use() const noexcept;

  std::atomic<std::uint32_t> word_{0};  // internal/turnstile.hpp; the value is the holder's agent id
  park::queue queue_;                   // under its own lock; its `named` bit says which half of origin_ counts
  origin origin_;                       // constant
};

static_assert(sizeof(mutex) == 16);

extern template class sync::turnstile_wait<mutex::rule>;

/// What mutex::async_lock() returns: awaits std::unique_lock<mutex>.
class [[nodiscard]] mutex_lock_awaiter final : public sync::turnstile_wait<mutex::rule> {
 public:
  /// Called on resumption: the task holds the lock.
  std::unique_lock<mutex> await_resume() noexcept;

 private:
  friend class mutex;
  mutex_lock_awaiter(mutex& m, std::source_location site) noexcept;
  mutex& mutex_;
};

/// What mutex::async_lock_until() returns: awaits std::expected<std::unique_lock<mutex>, wait_error>.
class [[nodiscard]] mutex_lock_until_awaiter final : public sync::turnstile_wait<mutex::rule> {
 public:
  /// Called on resumption: the task holds the lock, or the error says why not.
  std::expected<std::unique_lock<mutex>, wait_error> await_resume() noexcept;

 private:
  friend class mutex;
  mutex_lock_until_awaiter(mutex& m, deadline until, std::stop_token stop, std::source_location site) noexcept;
  mutex& mutex_;
};

}  // namespace heddle
