#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/origin.hpp>
#include <heddle/park/foreign_wait.hpp>
#include <heddle/park/holds.hpp>
#include <heddle/park/resource.hpp>
#include <heddle/sync/recursive_mutex.hpp>
#include <heddle/sys/compiler.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <mutex>
#include <source_location>
#include <type_traits>

namespace heddle {

/// Whether the holder of such a lock may lock it again. To be specialized for a user's own recursive locks.
template <class Lock>
inline constexpr bool locks_recursively =
    std::same_as<Lock, std::recursive_mutex> || std::same_as<Lock, std::recursive_timed_mutex> ||
    std::same_as<Lock, recursive_mutex>;

namespace sync {

/// What watched keeps beside a foreign lock.
class watched_state {
 public:
  watched_state(const watched_state&) = delete;
  watched_state& operator=(const watched_state&) = delete;

  /// Whether the current agent holds it alone.
  [[nodiscard]] bool held_by_me() const noexcept;

  /// The id of the agent that holds it alone, 0 if none does; already old when it returns.
  [[nodiscard]] std::uint32_t holder() const noexcept { return owner_.load(std::memory_order_relaxed) >> owner_shift; }

 protected:
  constexpr explicit watched_state(std::source_location made) noexcept : origin_{made} {}
  constexpr explicit watched_state(const char* name) noexcept : owner_{named_bit}, origin_{name} {}
  ~watched_state() {
    if (holder() != 0) destroyed_in_use();
  }

  [[nodiscard]] park::resource resource(bool shared) const noexcept;
  void refuse_again(std::source_location site) const noexcept;
  void taken(bool tried, const void* taken_at) noexcept;
  void giving() noexcept;
  void share_taken(bool tried, const void* taken_at) noexcept;
  void giving_share() noexcept;

 private:
  static constexpr std::uint32_t named_bit = 1;
  static constexpr std::uint8_t owner_shift = 1;

  void destroyed_in_use() const noexcept;
  [[nodiscard]] park::held_as held(park::hold_mode mode, bool tried) const noexcept;

  std::atomic<std::uint32_t> owner_{0};  // agent id << 1 | named; written by the holder, while it holds the lock
  std::uint32_t depth_{0};               // how often the holder has locked it; the holder's
  std::uint32_t thread_{0};              // for a task: the thread that it locked it on; the holder's
  origin origin_;                        // constant
};

}  // namespace sync

/// A lock of another library, put into the picture: waits for it are shown with their holder, deadlocks through it are found,
/// and it is in the held list and in the lock order of whoever holds it.
///
/// `watched<std::mutex> m{"settings"};` is used as the std::mutex was: with unique_lock, scoped_lock, shared_lock,
/// lock_all and std::condition_variable_any (whose own wait is not shown). It has what `Lock` has: try_lock(), the timed
/// ways, the shared ones. The wait happens in the lock itself, so nothing is changed in how it wakes or how fair it is, and
/// there is no stop_token and no async_lock(). For code of your own, take heddle's locks.
///
/// - A wait is shown while it lasts, with who holds the lock. [test: watched.a_wait_tells_who_waits_for_what_and_who_holds_it]
/// - A deadlock through it is found. [test: watched.a_deadlock_through_it_is_found]
/// - What is held is listed. [test: watched.what_is_held_is_listed]
/// - It works where the lock itself did. [test: watched.works_with_the_standards_guards,
///   watched.works_with_condition_variable_any, watched.has_the_timed_ways_of_the_lock, watched.has_the_shared_ways_of_the_lock]
/// - A lock without try_lock() will do. [test: watched.a_basic_lock_will_do]
///
/// Fairness: the lock's. Cost: the lock's, and about 10 ns to note the holder; a wait costs its record besides.
/// sizeof(Lock) + 24. Thread-safety: all members from any thread. Not async-signal-safe.
///
/// Outcomes:
/// - Destroyed right after the last unlock: as with the lock itself; nothing is touched after its unlock().
///   [test: watched.may_be_destroyed_right_after_the_last_unlock]
/// - Destroyed while it is held alone: ends the program, but not while the process exits. Shares are not known.
///   [test: watched_misuse.destroying_what_is_held_is_fatal, watched_misuse.one_that_is_held_at_exit_is_no_misuse]
/// - Locked twice by one agent: ends the program, unless locks_recursively<Lock>.
///   [test: watched_misuse.locking_twice_is_fatal, watched.a_recursive_lock_may_be_locked_again]
/// - Unlocked by an agent that does not hold it: ends the program. A share is counted by the lock alone.
///   [test: watched_misuse.unlocking_what_is_not_held_is_fatal]
/// - Unlocked by a task on another thread than it locked it on: ends the program, since most locks belong to a thread.
///   [test: watched_misuse.unlocking_on_another_thread_is_fatal]
/// - A thread ends while it holds it: reported, and the lock is what it is. A task that does ends the program.
///   [test: watched_misuse.ending_while_holding_is_reported_for_a_thread_and_fatal_for_a_task]
/// - fork: the lock's own; the child's agent goes on as the holder. [test: watched_fork.the_child_unlocks_what_it_held]
template <class Lock>
class HEDDLE_THREAD_SAFETY(capability("mutex")) watched : public sync::watched_state {
  static constexpr bool has_try = requires(Lock& l) {
    { l.try_lock() } -> std::convertible_to<bool>;
  };
  static constexpr bool has_timed = requires(Lock& l) {
    { l.try_lock_until(std::chrono::steady_clock::now()) } -> std::convertible_to<bool>;
  };
  static constexpr bool has_shared = requires(Lock& l) {
    l.lock_shared();
    { l.try_lock_shared() } -> std::convertible_to<bool>;
    l.unlock_shared();
  };
  static constexpr bool has_shared_timed = requires(Lock& l) {
    { l.try_lock_shared_until(std::chrono::steady_clock::now()) } -> std::convertible_to<bool>;
  };

 public:
  /// One called after the place where it is made.
  constexpr explicit(false) watched(std::source_location made = std::source_location::current())
      : watched_state{made} {}
  /// With a name; the text must live as long as the program (a literal).
  constexpr explicit watched(const char* name) : watched_state{name} {}

  /// Waits until it holds the lock.
  [[gnu::noinline]] void lock(std::source_location site = std::source_location::current())
      HEDDLE_THREAD_SAFETY(acquire_capability()) HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    if constexpr (!locks_recursively<Lock>) refuse_again(site);
    bool got = false;
    if constexpr (has_try) got = lock_.try_lock();
    if (!got) {
      const park::foreign_wait shown{resource(false), deadline::never(), site};
      lock_.lock();
    }
    taken(false, __builtin_return_address(0));
  }

  [[nodiscard, gnu::noinline]]
  HEDDLE_THREAD_SAFETY(try_acquire_capability(true)) HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) bool try_lock()
    requires has_try
  {
    if (!may_try() || !lock_.try_lock()) return false;
    taken(true, __builtin_return_address(0));
    return true;
  }

  template <class Rep, class Period>
    requires has_timed
  [[nodiscard, gnu::noinline]] bool try_lock_for(std::chrono::duration<Rep, Period> wait)
      HEDDLE_THREAD_SAFETY(try_acquire_capability(true)) HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    return wait_for(deadline::after(wait), __builtin_return_address(0));
  }
  template <class Clock, class Duration>
    requires has_timed
  [[nodiscard, gnu::noinline]] bool try_lock_until(std::chrono::time_point<Clock, Duration> when)
      HEDDLE_THREAD_SAFETY(try_acquire_capability(true)) HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    return wait_for(deadline::at(when), __builtin_return_address(0));
  }

  void unlock() HEDDLE_THREAD_SAFETY(release_capability()) HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    giving();
    lock_.unlock();
  }

  /// Waits until it has a share, to read.
  [[gnu::noinline]]
  HEDDLE_THREAD_SAFETY(acquire_shared_capability()) HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) void lock_shared(
      std::source_location site = std::source_location::current())
    requires has_shared
  {
    refuse_again(site);
    if (!lock_.try_lock_shared()) {
      const park::foreign_wait shown{resource(true), deadline::never(), site};
      lock_.lock_shared();
    }
    share_taken(false, __builtin_return_address(0));
  }

  [[nodiscard, gnu::noinline]]
  HEDDLE_THREAD_SAFETY(try_acquire_shared_capability(true))
      HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) bool try_lock_shared()
    requires has_shared
  {
    if (held_by_me() || !lock_.try_lock_shared()) return false;
    share_taken(true, __builtin_return_address(0));
    return true;
  }

  template <class Rep, class Period>
    requires has_shared_timed
  [[nodiscard, gnu::noinline]] bool try_lock_shared_for(std::chrono::duration<Rep, Period> wait)
      HEDDLE_THREAD_SAFETY(try_acquire_shared_capability(true)) HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    return wait_for_share(deadline::after(wait), __builtin_return_address(0));
  }
  template <class Clock, class Duration>
    requires has_shared_timed
  [[nodiscard, gnu::noinline]] bool try_lock_shared_until(std::chrono::time_point<Clock, Duration> when)
      HEDDLE_THREAD_SAFETY(try_acquire_shared_capability(true)) HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    return wait_for_share(deadline::at(when), __builtin_return_address(0));
  }

  HEDDLE_THREAD_SAFETY(release_shared_capability())
  HEDDLE_THREAD_SAFETY(no_thread_safety_analysis)
  void unlock_shared()
    requires has_shared
  {
    giving_share();
    lock_.unlock_shared();
  }

  /// The lock itself. What is done to it directly is not in the picture.
  [[nodiscard]] Lock& wrapped() noexcept { return lock_; }

 private:
  [[nodiscard]] bool may_try() const noexcept { return locks_recursively<Lock> || !held_by_me(); }

  [[nodiscard]] bool wait_for(deadline until, const void* caller) {
    if (!may_try()) return false;
    if (!lock_.try_lock()) {
      const park::foreign_wait shown{resource(false), until, std::source_location::current()};
      if (!lock_.try_lock_until(until.time())) return false;
    }
    taken(true, caller);
    return true;
  }
  [[nodiscard]] bool wait_for_share(deadline until, const void* caller) {
    if (held_by_me()) return false;
    if (!lock_.try_lock_shared()) {
      const park::foreign_wait shown{resource(true), until, std::source_location::current()};
      if (!lock_.try_lock_shared_until(until.time())) return false;
    }
    share_taken(true, caller);
    return true;
  }

  Lock lock_;
};

}  // namespace heddle
