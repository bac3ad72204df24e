#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/origin.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/sync/queue_wait.hpp>

#include <atomic>
#include <cstdint>
#include <expected>
#include <source_location>
#include <stop_token>

namespace heddle {

/// Counts down once to zero: who waits goes on when it is there. For threads and tasks alike, 16 bytes.
///
/// For work that is counted and done once: so many parts have to be ready. Where the same agents meet again and again, use
/// a barrier; to wait for tasks, a scope.
///
/// - What was done before each count_down() is seen after the wait. [test: latch.publishes_what_was_done_before]
/// - Everybody goes on at zero, and whoever comes later does not wait. [test: latch.lets_all_go_at_zero]
/// - A waiter that gives up takes nothing back: what it had counted down stays counted.
///   [test: latch.one_that_gives_up_has_still_arrived]
///
/// Fairness: nobody competes. Cost: counting down is one compare-and-swap, try_wait() one load.
/// Thread-safety: all members from any thread. Not async-signal-safe.
///
/// Outcomes:
/// - Destroyed by a waiter that was let go, or by one who asked try_wait(), before the last count_down() has returned:
///   allowed; other waits must have been let go or have returned. [test: latch.may_be_destroyed_by_whom_the_last_one_let_go]
/// - Destroyed while somebody waits: ends the program, but not while the process exits.
///   [test: latch_misuse.destroying_what_is_waited_for_is_fatal, latch_misuse.a_wait_that_lasts_until_exit_is_no_misuse]
/// - Counted below zero, or made with more than max(): ends the program. [test: latch_misuse.counting_below_zero_is_fatal,
///   latch_misuse.too_large_a_count_is_fatal]
/// - fork: the child has the count as it was, and none of the threads that waited or would have counted.
///   [test: latch_fork.the_child_counts_for_itself]
/// - A thread that is cancelled while it waits goes on waiting. [test: wait_queue.a_wait_is_no_cancellation_point]
class latch {
 public:
  /// The largest count.
  [[nodiscard]] static constexpr std::uint32_t max() noexcept { return UINT32_MAX >> 1U; }

  /// A latch called after the place where it is made, `count` away from its opening.
  constexpr explicit latch(std::uint32_t count, std::source_location made = std::source_location::current()) noexcept
      : word_{checked(count) << 1U}, queue_{false}, origin_{made} {}
  /// With a name; the text must live as long as the program (a literal).
  constexpr latch(std::uint32_t count, const char* name) noexcept
      : word_{checked(count) << 1U}, queue_{true}, origin_{name} {}

  latch(const latch&) = delete;
  latch& operator=(const latch&) = delete;
  ~latch() {
    if (!queue_.seems_empty()) destroyed_in_use();
  }

  /// Counts down by `n`; lets everybody go at zero. The last access to the latch.
  void count_down(std::uint32_t n = 1) noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    const bool quiet = n < seen >> 1U || (n == seen >> 1U && (seen & waiters_bit) == 0);
    if (!quiet || !word_.compare_exchange_strong(seen, seen - (n << 1U), std::memory_order_release,
                                                 std::memory_order_relaxed)) [[unlikely]] {  // E1, I2
      count_down_slow(n);
    }
  }

  /// Whether it has come to zero.
  /// - Never waits. [test: latch.try_wait_does_not_wait]
  [[nodiscard]] bool try_wait() const noexcept { return word_.load(std::memory_order_acquire) >> 1U == 0; }  // E1

  /// How much is left; already old when it returns.
  [[nodiscard]] std::uint32_t pending() const noexcept { return word_.load(std::memory_order_relaxed) >> 1U; }

  /// Waits until it has come to zero.
  void wait(std::source_location site = std::source_location::current()) noexcept {
    if (!try_wait()) wait_slow(site);
  }

  /// The same until the deadline comes (wait_error::timeout) or `stop` fires (stopped). Zero is seen even late.
  /// - A deadline ends it, and a stop. [test: latch.a_deadline_and_a_stop_end_a_wait]
  [[nodiscard]] std::expected<void, wait_error> wait_until(
      deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) noexcept;

  /// Counts down by `n`, then waits.
  void arrive_and_wait(std::uint32_t n = 1, std::source_location site = std::source_location::current()) noexcept {
    count_down(n);
    wait(site);
  }
  /// Counts down by `n`, whatever deadline and stop say, then waits as wait_until.
  [[nodiscard]] std::expected<void, wait_error> arrive_and_wait_until(
      deadline until, const std::stop_token& stop = {}, std::uint32_t n = 1,
      std::source_location site = std::source_location::current()) noexcept {
    count_down(n);
    return wait_until(until, stop, site);
  }

  /// What a task's wait asks; counts down by `n` when it is awaited.
  class asker {
   public:
    asker(latch& which, std::uint32_t n) noexcept : which_{which}, n_{n} {}
    bool at_once() const noexcept {
      if (n_ != 0) which_.count_down(n_);
      return which_.try_wait();
    }
    bool under_lock() const noexcept { return which_.look(); }

   private:
    latch& which_;
    std::uint32_t n_;
  };

  /// For tasks: `co_await l.async_wait();` A stopped task unwinds.
  /// - Threads and tasks are let go alike. [test: latch.lets_all_go_at_zero]
  [[nodiscard]] sync::queue_awaiter<asker> async_wait(
      std::source_location site = std::source_location::current()) noexcept;
  /// For tasks: awaits std::expected<void, wait_error>, see wait_until.
  [[nodiscard]] sync::queue_awaiter_until<asker> async_wait_until(
      deadline until, std::stop_token stop = {}, std::source_location site = std::source_location::current()) noexcept;
  /// For tasks: counts down when it is awaited, then waits. A task that is stopped has still counted down.
  /// - Tasks meet at it. [test: latch.threads_and_tasks_meet_at_it]
  /// - Giving up takes nothing back. [test: latch.a_task_that_gives_up_has_still_arrived]
  [[nodiscard]] sync::queue_awaiter<asker> async_arrive_and_wait(
      std::uint32_t n = 1, std::source_location site = std::source_location::current()) noexcept;
  /// For tasks: awaits std::expected<void, wait_error>, see arrive_and_wait_until.
  [[nodiscard]] sync::queue_awaiter_until<asker> async_arrive_and_wait_until(
      deadline until, std::stop_token stop = {}, std::uint32_t n = 1,
      std::source_location site = std::source_location::current()) noexcept;

 private:
  static constexpr std::uint32_t waiters_bit = 1;

  static constexpr std::uint32_t checked(std::uint32_t count) noexcept {
    if (count > max()) too_many();
    return count;
  }
  [[noreturn]] static void too_many() noexcept;
  void count_down_slow(std::uint32_t n) noexcept;
  void wait_slow(std::source_location site) noexcept;
  [[nodiscard]] bool look() noexcept;
  [[nodiscard]] park::resource resource() const noexcept;
  void destroyed_in_use() const noexcept;

  std::atomic<std::uint32_t> word_;  // latch.cpp
  park::queue queue_;                // under its own lock
  origin origin_;                    // constant
};

static_assert(sizeof(latch) == 16);

}  // namespace heddle
