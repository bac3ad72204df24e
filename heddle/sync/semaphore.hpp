#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/origin.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/sync/turnstile_wait.hpp>

#include <atomic>
#include <cstdint>
#include <expected>
#include <source_location>
#include <stop_token>
#include <utility>

namespace heddle {

class semaphore;
class semaphore_acquire_awaiter;
class semaphore_acquire_until_awaiter;

/// Permits of a semaphore that are given back when this is destroyed. May travel: whoever has it may give it back, on
/// any thread or task.
/// - Gives back what it holds, once. [test: semaphore.a_permit_gives_back_what_it_holds]
class [[nodiscard]] semaphore_permit {
 public:
  semaphore_permit() noexcept = default;
  semaphore_permit(semaphore_permit&& other) noexcept
      : from_{std::exchange(other.from_, nullptr)}, count_{std::exchange(other.count_, 0)} {}
  semaphore_permit& operator=(semaphore_permit&& other) noexcept;
  ~semaphore_permit() { give_back(); }

  /// How many permits it holds; 0 once they were given back or moved away.
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  explicit operator bool() const noexcept { return count_ != 0; }

  /// Gives the permits back now.
  void give_back() noexcept;

  /// Lets go of the permits without giving them back: for a semaphore that counts events, where each is seen once.
  /// - They are gone from the semaphore. [test: semaphore.a_permit_that_was_used_up_is_not_given_back]
  void use_up() noexcept {
    from_ = nullptr;
    count_ = 0;
  }

 private:
  friend class semaphore;
  friend class semaphore_acquire_awaiter;
  friend class semaphore_acquire_until_awaiter;
  semaphore_permit(semaphore& from, std::uint32_t count) noexcept : from_{&from}, count_{count} {}

  semaphore* from_ = nullptr;
  std::uint32_t count_ = 0;
};

// [contract]
/// A counting semaphore for threads and tasks alike, 16 bytes: at most so many inside at once.
///
/// Not a lock: permits have no holder, so anybody may release, and a deadlock over permits can only be suspected. Use a
/// mutex where one at a time is meant.
///
/// - No more permits are out than there are. [test: semaphore.admits_no_more_than_there_are_permits]
/// - What was done before release() is seen after the acquire that it let in.
///   [test: semaphore.publishes_what_was_done_before, semaphore.publishes_without_a_waiter]
/// - Waiters are served oldest first; one that wants several holds up those behind it until it gets them.
///   [test: semaphore.a_small_request_waits_behind_a_large_one, semaphore.one_that_was_woken_in_vain_keeps_its_place]
/// - Newcomers may barge in, until the oldest waiter has been passed over for 1 ms.
///   [test: semaphore.a_large_request_is_not_starved_by_small_ones]
///
/// Outcomes:
/// - Destroyed as soon as the last release has let the next one in: allowed, also while permits are out that nobody will
///   give back. [test: semaphore.may_be_destroyed_right_after_the_last_release]
/// - Destroyed while it is waited for: ends the program. [test: semaphore_misuse.destroying_what_is_waited_for_is_fatal]
/// - More than 134,217,727 permits in all, released or asked for: ends the program.
///   [test: semaphore_misuse.too_many_permits_are_fatal]
/// - A thread or a task ends with permits: they are whose object they are, and are given back with it.
///   [test: semaphore.a_permit_gives_back_what_it_holds]
/// - fork: what was out stays out in the child. [test: semaphore_fork.what_was_out_stays_out_in_the_child]
///
/// Cost: one compare-and-swap to acquire, one to release, without waiters; no system call.
/// Thread-safety: all members from any thread. Not async-signal-safe.
class semaphore {
 public:
  static constexpr std::uint32_t max_permits = (1U << (32 - sync::value_shift)) - 1;

  /// A semaphore with `permits` to give, called after the place where it is made.
  constexpr explicit semaphore(std::uint32_t permits,
                               std::source_location made = std::source_location::current()) noexcept
      : word_{checked(permits) << sync::value_shift}, queue_{false}, origin_{made} {}
  // [/contract]

  /// With a name; the text must live as long as the program (a literal).
  constexpr semaphore(std::uint32_t permits, const char* name) noexcept
      : word_{checked(permits) << sync::value_shift}, queue_{true}, origin_{name} {}

  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;
  ~semaphore() {
    if ((word_.load(std::memory_order_relaxed) & 1U) != 0) destroyed_in_use();
  }

  /// Waits until it has `count` permits, all at once.
  semaphore_permit acquire(std::uint32_t count = 1,
                           std::source_location site = std::source_location::current()) noexcept;

  /// `count` permits if they are there now, else an empty permit.
  /// - Never waits. [test: semaphore.try_acquire_fails_without_waiting]
  semaphore_permit try_acquire(std::uint32_t count = 1) noexcept;

  /// Waits until it has `count` permits, the deadline comes, or `stop` fires; what it could not have whole it does not
  /// take in part.
  /// - A waiter that gives up leaves nothing behind and lets the next one go.
  ///   [test: semaphore.a_timeout_lets_the_next_one_go]
  /// - A stopped waiter takes nothing. [test: semaphore.a_stopped_waiter_takes_nothing]
  [[nodiscard]] std::expected<semaphore_permit, wait_error> acquire_until(
      deadline until, const std::stop_token& stop = {}, std::uint32_t count = 1,
      std::source_location site = std::source_location::current()) noexcept;

  /// Adds `count` permits, whoever had them. A permit object does this by itself. The last access to the semaphore.
  void release(std::uint32_t count = 1) noexcept;

  /// For tasks: `semaphore_permit p = co_await s.async_acquire();` A stopped task unwinds and has taken nothing.
  /// - Threads and tasks share the permits. [test: semaphore.threads_and_tasks_share_the_permits]
  [[nodiscard]] semaphore_acquire_awaiter async_acquire(
      std::uint32_t count = 1, std::source_location site = std::source_location::current()) noexcept;

  /// For tasks: awaits std::expected<semaphore_permit, wait_error>, see acquire_until.
  /// - A task's deadline ends its wait. [test: semaphore.a_task_times_out]
  [[nodiscard]] semaphore_acquire_until_awaiter async_acquire_until(
      deadline until, std::stop_token stop = {}, std::uint32_t count = 1,
      std::source_location site = std::source_location::current()) noexcept;

  /// The permits left now; already old when it returns.
  [[nodiscard]] std::uint32_t available() const noexcept {
    return word_.load(std::memory_order_relaxed) >> sync::value_shift;
  }

  struct rule;  // how the turnstile takes and gives: private to sync

 private:
  friend class semaphore_acquire_awaiter;
  friend class semaphore_acquire_until_awaiter;

  static constexpr std::uint32_t checked(std::uint32_t permits) noexcept {
    if (permits > max_permits) too_many();
    return permits;
  }
  [[noreturn]] static void too_many() noexcept;
  void acquire_slow(std::uint32_t count, std::source_location site) noexcept;
  void release_slow(std::uint32_t count) noexcept;
  void destroyed_in_use() const noexcept;
  [[nodiscard]] park::resource resource() const noexcept;

  std::atomic<std::uint32_t> word_;  // internal/turnstile.hpp; the value is the number of permits left
  park::queue queue_;                // under its own lock; its `named` bit says which half of origin_ counts
  origin origin_;                    // constant
};

static_assert(sizeof(semaphore) == 16);

extern template class sync::turnstile_wait<semaphore::rule>;

/// What semaphore::async_acquire() returns: awaits semaphore_permit.
class [[nodiscard]] semaphore_acquire_awaiter final : public sync::turnstile_wait<semaphore::rule> {
 public:
  /// Called on resumption: the task has the permits.
  semaphore_permit await_resume() noexcept { return {semaphore_, count_}; }

 private:
  friend class semaphore;
  semaphore_acquire_awaiter(semaphore& s, std::uint32_t count, std::source_location site) noexcept;
  semaphore& semaphore_;
  std::uint32_t count_;
};

/// What semaphore::async_acquire_until() returns: awaits std::expected<semaphore_permit, wait_error>.
class [[nodiscard]] semaphore_acquire_until_awaiter final : public sync::turnstile_wait<semaphore::rule> {
 public:
  /// Called on resumption: the task has the permits, or the error says why not.
  std::expected<semaphore_permit, wait_error> await_resume() noexcept;

 private:
  friend class semaphore;
  semaphore_acquire_until_awaiter(semaphore& s, std::uint32_t count, deadline until, std::stop_token stop,
                                  std::source_location site) noexcept;
  semaphore& semaphore_;
  std::uint32_t count_;
};

}  // namespace heddle
