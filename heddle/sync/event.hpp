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

/// Whether an event stays set until it is reset, or lets one waiter go for each time that it is set.
enum class event_reset : std::uint8_t { manual, automatic };

/// Something that happens: who waits for it goes on when it is set. For threads and tasks alike, 16 bytes.
///
/// A manual event, the default, stays set until it is reset, and lets everybody go. An automatic one lets exactly one go:
/// the oldest waiter, or else the next to come, and is unset again. To hand over a value, use a channel or a future; to
/// count, a semaphore: an automatic event that is set twice before anybody waits lets one go.
///
/// - What was done before set() is seen after the wait that it ended, or after is_set() and try_wait() said so.
///   [test: event.publishes_what_was_done_before_it_was_set]
/// - set() lets go all who wait at that moment, whatever reset() does right after.
///   [test: event.a_reset_right_after_does_not_keep_waiters_back]
/// - An automatic event is handed to the oldest waiter; no newcomer takes it away.
///   [test: event.an_automatic_one_is_handed_to_the_oldest]
/// - Each set of an automatic event lets one go while there are waiters: none is lost.
///   [test: event.each_set_of_an_automatic_one_lets_one_go]
/// - A waiter that gives up does not use up a set. [test: event.one_that_gives_up_does_not_use_up_a_set]
///
/// Fairness: oldest first; a task whose executor is busy keeps what it was handed until it runs.
/// Cost: set() without a waiter is one compare-and-swap, is_set() one load, a wait for what is set one load (automatic:
/// one compare-and-swap).
/// Thread-safety: all members from any thread. Not async-signal-safe.
///
/// Outcomes:
/// - Destroyed by a waiter that was let go, before set() has returned: allowed, also for one who asked is_set(); other
///   waits must have been let go or have returned. [test: event.may_be_destroyed_by_whom_set_let_go]
/// - Destroyed while somebody waits: ends the program, but not while the process exits.
///   [test: event_misuse.destroying_what_is_waited_for_is_fatal, event_misuse.a_wait_that_lasts_until_exit_is_no_misuse]
/// - Set while it is set, reset while it is not: nothing. [test: event.setting_and_resetting_twice_is_once]
/// - fork: the child has it as it was, and none of the threads that waited.
///   [test: event_fork.the_child_passes_by_those_who_are_not_there]
/// - A thread that is cancelled while it waits goes on waiting. [test: wait_queue.a_wait_is_no_cancellation_point]
class event {
 public:
  /// An event called after the place where it is made; not set.
  constexpr explicit(false)
      event(event_reset how = event_reset::manual, std::source_location made = std::source_location::current()) noexcept
      : word_{how == event_reset::automatic ? automatic_bit : 0}, queue_{false}, origin_{made} {}
  /// With a name; the text must live as long as the program (a literal).
  constexpr explicit event(const char* name, event_reset how = event_reset::manual) noexcept
      : word_{how == event_reset::automatic ? automatic_bit : 0}, queue_{true}, origin_{name} {}

  event(const event&) = delete;
  event& operator=(const event&) = delete;
  ~event() {
    if (!queue_.seems_empty()) destroyed_in_use();
  }

  /// Lets everybody go, or one. The last access to the event.
  void set() noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    if ((seen & waiters_bit) == 0 && word_.compare_exchange_strong(seen, seen | set_bit, std::memory_order_release,
                                                                   std::memory_order_relaxed)) [[likely]] {  // E1
      return;
    }
    set_slow();
  }

  /// From now on it is waited for again.
  /// @return whether it was set; then all is seen that was done before it was.
  /// - It says what it found. [test: event.setting_and_resetting_twice_is_once]
  bool reset() noexcept { return (word_.fetch_and(~set_bit, std::memory_order_acq_rel) & set_bit) != 0; }  // E1

  /// Whether it is set; of an automatic one, it stays so.
  [[nodiscard]] bool is_set() const noexcept { return (word_.load(std::memory_order_acquire) & set_bit) != 0; }  // E1

  /// True when it is set; an automatic one is unset by that.
  /// - Never waits. [test: event.try_wait_does_not_wait]
  [[nodiscard]] bool try_wait() noexcept;

  /// Waits until it is set.
  void wait(std::source_location site = std::source_location::current()) noexcept;

  /// The same until the deadline comes (wait_error::timeout) or `stop` fires (stopped). An event that is set is had even
  /// late.
  /// - A deadline ends it, and a stop. [test: event.a_deadline_and_a_stop_end_a_wait]
  /// - What is set is had even late. [test: event.what_is_set_is_had_even_late]
  [[nodiscard]] std::expected<void, wait_error> wait_until(
      deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) noexcept;

  /// What a task's wait asks.
  class asker {
   public:
    explicit asker(event& which) noexcept : which_{which} {}
    bool at_once() const noexcept { return which_.try_wait(); }
    bool under_lock() const noexcept { return which_.look(); }

   private:
    event& which_;
  };

  /// For tasks: `co_await e.async_wait();` A stopped task unwinds.
  /// - Threads and tasks are let go alike. [test: event.lets_go_threads_and_tasks]
  [[nodiscard]] sync::queue_awaiter<asker> async_wait(
      std::source_location site = std::source_location::current()) noexcept;

  /// For tasks: awaits std::expected<void, wait_error>, see wait_until.
  /// - A deadline and a stop end it. [test: event.a_deadline_and_a_stop_end_a_tasks_wait]
  [[nodiscard]] sync::queue_awaiter_until<asker> async_wait_until(
      deadline until, std::stop_token stop = {}, std::source_location site = std::source_location::current()) noexcept;

 private:
  static constexpr std::uint32_t set_bit = 1;
  static constexpr std::uint32_t waiters_bit = 2;
  static constexpr std::uint32_t automatic_bit = 4;

  [[nodiscard]] bool look() noexcept;
  void set_slow() noexcept;
  [[nodiscard]] park::resource resource() const noexcept;
  void destroyed_in_use() const noexcept;

  std::atomic<std::uint32_t> word_;  // event.cpp
  park::queue queue_;                // under its own lock
  origin origin_;                    // constant
};

static_assert(sizeof(event) == 16);

}  // namespace heddle
