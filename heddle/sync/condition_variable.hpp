#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/origin.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/sync/mutex.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <expected>
#include <mutex>
#include <optional>
#include <source_location>
#include <stop_token>
#include <utility>

namespace heddle {

class condition_wait_awaiter;

/// A lock that a condition can be waited for with: has lock() and unlock().
template <class Lock>
concept basic_lockable = requires(Lock& lock) {
  lock.lock();
  lock.unlock();
};

/// A condition variable for threads and tasks alike, 16 bytes.
///
/// Always wait with a predicate, or in a loop: between the notification and the return others may change what was
/// notified. The lock is held again whenever a wait returns or a task is unwound, whatever ended it.
///
/// Waited for with a heddle::mutex it is at its best: who is notified is not woken to collide with whoever holds the
/// mutex, but moved to the mutex's queue, and is listed as waiting for it. Threads may wait with any other lock, too, as
/// with std::condition_variable_any; they are woken and lock by themselves. Each waiter may have another lock.
///
/// - A waiter that called wait before the notification (under the lock) is woken by it: no wake-up is lost.
///   [test: condition_variable.no_wake_up_is_lost,
///   condition_variable.a_notification_as_soon_as_the_lock_is_let_go_is_not_lost]
/// - notify_one wakes the oldest waiter; one that has timed out or was stopped does not use it up.
///   [test: condition_variable.notify_one_wakes_the_oldest,
///   condition_variable.a_timeout_does_not_use_up_a_notification]
/// - notify_all wakes everybody who waits now. [test: condition_variable.notify_all_wakes_threads_and_tasks]
/// - A notified waiter whose mutex is held is not woken; it waits for the mutex, in its place among those who do.
///   [test: condition_requeue.a_notified_waiter_is_shown_as_waiting_for_the_mutex,
///   condition_deadlock.one_behind_a_notification_is_found]
/// - Of many that are notified at once, one at a time is woken, whether the mutex is held or not.
///   [test: condition_requeue.many_notified_under_the_mutex_are_woken_one_at_a_time,
///   condition_requeue.many_notified_without_the_mutex_are_woken_one_at_a_time]
/// - Deadline and stop end the wait for the notification, not that for the lock.
///   [test: condition_requeue.a_deadline_does_not_count_once_notified,
///   condition_requeue.a_stop_does_not_count_once_notified]
/// - Every wait lets go of the lock, even if its deadline has passed already.
///   [test: condition_variable.a_late_wait_lets_go_of_the_lock]
/// - The lock is held when a wait returns. [test: condition_variable.the_lock_is_held_after_a_timeout]
/// - A task stopped in its wait has the lock again while it unwinds.
///   [test: condition_variable.a_stopped_task_holds_the_lock_while_it_unwinds]
/// - Fairness: first come, first notified, threads and tasks alike; from then on the mutex's own.
///   [test: condition_variable.notify_one_wakes_the_oldest, condition_requeue.those_notified_queue_up_in_their_order]
///
/// | what | then | |
/// |---|---|---|
/// | destroyed once all have been notified, before they have left wait | allowed, if no deadline or stop came first | [test: condition_variable.may_be_destroyed_after_notify_all] |
/// | destroyed while somebody waits unnotified | ends the program | [test: condition_variable_misuse.destroying_what_is_waited_for_is_fatal] |
/// | the same while the process exits | nothing happens | [test: condition_variable_misuse.exiting_while_it_is_waited_for_is_allowed] |
/// | waiting with a lock that the agent does not hold | ends the program | [test: condition_variable_misuse.waiting_without_the_lock_is_fatal] |
/// | waiting with a foreign lock that can tell it is not owned | ends the program | [test: condition_variable_misuse.waiting_without_a_foreign_lock_is_fatal] |
/// | destroying a task in its wait | ends the program | [test: wait_misuse.destroying_a_task_in_its_wait_is_fatal] |
/// | notifying without the lock, or nobody | allowed | [test: condition_variable.those_who_come_later_are_not_woken] |
/// | a child of fork(2) notifies | those who are not in the child are passed by | [test: condition_variable_misuse.a_child_of_fork_notifies_those_who_are_there] |
/// | a thread is cancelled (pthread_cancel) while it waits | unsupported | |
///
/// Cost: notifying nobody is one load. Notifying somebody takes the locks of two queues; the system call, if the waiter
/// sleeps, is made by whoever lets go of the mutex. A thread beside whom nobody waits looks for 50 microseconds at most
/// before it sleeps, and ever more seldom while that is in vain.
/// Thread-safety: all members from any thread. Not async-signal-safe.
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

  /// Lets the oldest waiter go on, if there is one.
  void notify_one() noexcept;
  /// Lets all go on who wait now.
  void notify_all() noexcept;

  /// Lets go of the lock, waits for a notification, takes the lock again.
  void wait(std::unique_lock<mutex>& lock, std::source_location site = std::source_location::current()) noexcept;

  /// One wait: a notification, or the error that ended it. The deadline and the stop end only the wait for the
  /// notification; taking the lock again is waited for as long as it takes.
  /// - A deadline ends the wait. [test: condition_variable.the_lock_is_held_after_a_timeout]
  /// - A stop ends the wait. [test: condition_variable.the_lock_is_held_after_a_stop]
  [[nodiscard]] std::expected<void, wait_error> wait_until(
      std::unique_lock<mutex>& lock, deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) noexcept
      HEDDLE_THREAD_SAFETY(no_thread_safety_analysis);  // std::unique_lock carries no annotations

  /// The same with any other lock, a heddle::mutex itself among them. If its lock() or unlock() throws, the program ends.
  /// - Any lock does. [test: condition_foreign.any_lock_does]
  /// - Each waiter may have another one.
  ///   [test: condition_foreign.each_waiter_gets_its_own_lock_back, condition_requeue.each_waiter_goes_to_its_own_mutex]
  /// - Deadline and stop end the wait, and the lock is held again. [test: condition_foreign.a_deadline_or_a_stop_ends_it]
  /// - No wake-up is lost. [test: condition_foreign.no_wake_up_is_lost]
  /// - A lock whose unlock() waits does, too. [test: condition_foreign.a_lock_whose_unlock_waits_does]
  template <basic_lockable Lock>
  void wait(Lock& lock, std::source_location site = std::source_location::current()) noexcept
      HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    (void)wait_until(lock, deadline::never(), {}, site);
  }
  template <basic_lockable Lock>
  [[nodiscard]] std::expected<void, wait_error> wait_until(
      Lock& lock, deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) noexcept
      HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    if constexpr (std::same_as<Lock, mutex>) {
      return wait_with(lock, until, stop, site);
    } else {
      if constexpr (requires { lock.owns_lock(); }) {
        if (!lock.owns_lock()) not_held(site);
      }
      return wait_with(foreign_lock{&lock, [](void* object) { static_cast<Lock*>(object)->unlock(); },
                                    [](void* object) { static_cast<Lock*>(object)->lock(); }},
                       until, stop, site);
    }
  }

  /// Waits until `ready()` holds, with the lock held whenever it is called.
  template <basic_lockable Lock, std::predicate Predicate>
  void wait(Lock& lock, Predicate ready, std::source_location site = std::source_location::current())
      HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    while (!ready()) wait(lock, site);
  }

  /// Waits until `ready()` holds; true when it does, false when the deadline or the stop came first.
  /// - What became true before the end is seen even after the deadline.
  ///   [test: condition_variable.a_predicate_that_holds_beats_the_deadline]
  template <basic_lockable Lock, std::predicate Predicate>
  [[nodiscard]] bool wait_until(Lock& lock, Predicate ready, deadline until, const std::stop_token& stop = {},
                                std::source_location site = std::source_location::current())
      HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    while (!ready()) {
      if (!wait_until(lock, until, stop, site)) return ready();
    }
    return true;
  }

  /// wait_until with a deadline from now on, which a predicate called again and again does not put off.
  /// - The time is that of all waits together. [test: condition_variable.a_time_is_not_begun_anew_by_notifications]
  template <basic_lockable Lock, class Rep, class Period>
  [[nodiscard]] std::expected<void, wait_error> wait_for(
      Lock& lock, std::chrono::duration<Rep, Period> time, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) noexcept
      HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    return wait_until(lock, deadline::after(time), stop, site);
  }
  template <basic_lockable Lock, std::predicate Predicate, class Rep, class Period>
  [[nodiscard]] bool wait_for(Lock& lock, Predicate ready, std::chrono::duration<Rep, Period> time,
                              const std::stop_token& stop = {},
                              std::source_location site = std::source_location::current())
      HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    return wait_until(lock, std::move(ready), deadline::after(time), stop, site);
  }

  /// For tasks: `while (!ready()) co_await c.async_wait(lock);` awaits std::expected<void, wait_error>. A task whose
  /// context is stopped takes the lock again and unwinds.
  [[nodiscard]] condition_wait_awaiter async_wait(std::unique_lock<mutex>& lock, deadline until = {},
                                                  std::stop_token stop = {},
                                                  std::source_location site = std::source_location::current()) noexcept;

 private:
  friend class condition_wait_awaiter;

  /// A lock of which only these two are known.
  struct foreign_lock {
    void* object;
    void (*unlock)(void*);
    void (*lock)(void*);
  };

  [[nodiscard]] std::expected<void, wait_error> wait_with(mutex& m, deadline until, const std::stop_token& stop,
                                                          std::source_location site) noexcept;
  [[nodiscard]] std::expected<void, wait_error> wait_with(mutex& m, deadline until, const std::stop_token& stop,
                                                          std::source_location site, const void* caller) noexcept
      HEDDLE_THREAD_SAFETY(no_thread_safety_analysis);
  [[nodiscard]] std::expected<void, wait_error> wait_with(const foreign_lock& lock, deadline until,
                                                          const std::stop_token& stop,
                                                          std::source_location site) noexcept;
  [[noreturn]] static void not_held(std::source_location site) noexcept;
  [[nodiscard]] static mutex& held_mutex(const std::unique_lock<mutex>& lock, std::source_location site) noexcept;
  static void hand_over(std::uint32_t chain) noexcept;
  bool enqueue(park::slot& node, mutex* wanted) noexcept;
  void leave(park::slot& node) noexcept;
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
