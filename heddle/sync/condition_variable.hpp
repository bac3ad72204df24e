#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/origin.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/sync/mutex.hpp>

#include <concepts>
#include <cstdint>
#include <expected>
#include <mutex>
#include <source_location>
#include <stop_token>

namespace heddle {

class condition_wait_awaiter;

/// A condition variable for threads and tasks alike, 16 bytes; used with heddle::mutex.
///
/// Always wait with a predicate, or in a loop: between the notification and the return others may change what was
/// notified. The lock is held again whenever a wait returns or a task is unwound, whatever ended it.
///
/// - A waiter that called wait before the notification (under the lock) is woken by it: no wake-up is lost.
///   [test: condition_variable.no_wake_up_is_lost,
///   condition_variable.a_notification_as_soon_as_the_lock_is_let_go_is_not_lost]
/// - notify_one wakes the oldest waiter; one that has timed out or was stopped does not use it up.
///   [test: condition_variable.a_timeout_does_not_use_up_a_notification]
/// - notify_all wakes everybody who waits now. [test: condition_variable.notify_all_wakes_threads_and_tasks]
/// - Every wait lets go of the lock, even if its deadline has passed already.
///   [test: condition_variable.a_late_wait_lets_go_of_the_lock]
/// - The lock is held when a wait returns. [test: condition_variable.the_lock_is_held_after_a_timeout]
/// - A task stopped in its wait has the lock again while it unwinds. [test: condition_variable.a_stopped_task_holds_the_lock_while_it_unwinds]
/// - It may be destroyed once all waiters have been notified, before they have left wait.
///   [test: condition_variable.may_be_destroyed_after_notify_all]
///   That counts for those who wait for the notification only: one whose deadline or stop came first must have returned.
/// - Waiting with a lock that the agent does not hold ends the program. [test: condition_variable_misuse.waiting_without_the_lock_is_fatal]
/// - Destroying it while somebody waits unnotified ends the program. [test: condition_variable_misuse.destroying_what_is_waited_for_is_fatal]
///
/// Cost: notifying nobody is one load. Thread-safety: all members from any thread. Not async-signal-safe.
class condition_variable {
 public:
  constexpr explicit(false) condition_variable(std::source_location made = std::source_location::current()) noexcept
      : queue_{false}, origin_{made} {}
  /// With a name; the text must live as long as the program (a literal).
  constexpr explicit condition_variable(const char* name) noexcept : queue_{true}, origin_{name} {}

  condition_variable(const condition_variable&) = delete;
  condition_variable& operator=(const condition_variable&) = delete;
  ~condition_variable() {
    if (!queue_.seems_empty()) destroyed_in_use();
  }

  /// Wakes the oldest waiter, if there is one.
  void notify_one() noexcept;
  /// Wakes all who wait now.
  void notify_all() noexcept;

  /// Lets go of the lock, waits for a notification, takes the lock again.
  void wait(std::unique_lock<mutex>& lock, std::source_location site = std::source_location::current()) noexcept;

  /// Waits until `ready()` holds, with the lock held whenever it is called.
  template <std::predicate Predicate>
  void wait(std::unique_lock<mutex>& lock, Predicate ready,
            std::source_location site = std::source_location::current()) {
    while (!ready()) wait(lock, site);
  }

  /// One wait: a notification, or the error that ended it. The deadline and the stop end only the wait for the
  /// notification; taking the lock again is waited for as long as it takes.
  /// - A deadline ends the wait. [test: condition_variable.the_lock_is_held_after_a_timeout]
  [[nodiscard]] std::expected<void, wait_error> wait_until(
      std::unique_lock<mutex>& lock, deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) noexcept
      HEDDLE_THREAD_SAFETY(no_thread_safety_analysis);  // std::unique_lock carries no annotations

  /// Waits until `ready()` holds; true when it does, false when the deadline or the stop came first.
  /// - What became true before the end is seen even after the deadline. [test: condition_variable.a_predicate_that_holds_beats_the_deadline]
  template <std::predicate Predicate>
  [[nodiscard]] bool wait_until(std::unique_lock<mutex>& lock, Predicate ready, deadline until,
                                const std::stop_token& stop = {},
                                std::source_location site = std::source_location::current()) {
    while (!ready()) {
      if (!wait_until(lock, until, stop, site)) return ready();
    }
    return true;
  }

  /// For tasks: `while (!ready()) co_await c.async_wait(lock);` awaits std::expected<void, wait_error>. A task whose
  /// context is stopped takes the lock again and unwinds.
  [[nodiscard]] condition_wait_awaiter async_wait(std::unique_lock<mutex>& lock, deadline until = {},
                                                  std::stop_token stop = {},
                                                  std::source_location site = std::source_location::current()) noexcept;

 private:
  friend class condition_wait_awaiter;

  [[nodiscard]] park::resource resource() const noexcept;
  void destroyed_in_use() const noexcept;

  park::queue queue_;  // under its own lock
  origin origin_;      // constant
};

static_assert(sizeof(condition_variable) == 16);

/// What condition_variable::async_wait() returns: first waits for the notification, then for the lock.
class [[nodiscard]] condition_wait_awaiter final : public park::task_wait {
 public:
  /// Called on resumption, with the lock held.
  std::expected<void, wait_error> await_resume() noexcept;

 private:
  friend class condition_variable;
  condition_wait_awaiter(condition_variable& c, std::unique_lock<mutex>& lock, deadline until, std::stop_token stop,
                         std::source_location site) noexcept;

  [[nodiscard]] bool ready() noexcept override { return false; }
  [[nodiscard]] bool enqueue() noexcept override HEDDLE_THREAD_SAFETY(no_thread_safety_analysis);
  [[nodiscard]] step claimed(park::phase result) noexcept override;
  void refused(park::phase result) noexcept override { error_ = park::error_of(result); }

  condition_variable* condition_;  // not touched once notified: it may be gone
  std::unique_lock<mutex>& lock_;
  bool relocking_ = false;
  bool unwinds_ = false;
  std::optional<wait_error> error_;
};

}  // namespace heddle
