#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/origin.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/sync/queue_wait.hpp>

#include <atomic>
#include <concepts>
#include <cstdint>
#include <expected>
#include <source_location>
#include <stop_token>
#include <utility>

namespace heddle {

class once;

/// The right, and the duty, to do what a once is for. Empty when it has been done already. Without done() its end gives
/// the turn up, and the next may try. Belongs to the agent that got it.
/// - A turn that was not done is given up. [test: once.a_turn_that_was_not_done_is_given_up]
class [[nodiscard]] once_turn {
 public:
  once_turn() noexcept = default;
  once_turn(once_turn&& other) noexcept : of_{std::exchange(other.of_, nullptr)} {}
  once_turn& operator=(once_turn&&) = delete;
  ~once_turn();

  /// Whether it is this agent's turn; false: it has been done.
  explicit operator bool() const noexcept { return of_ != nullptr; }

  /// It has been done: nobody has a turn any more, and all who wait go on. The last access to the once.
  void done() noexcept;

 private:
  friend class once;
  explicit once_turn(once* of) noexcept : of_{of} {}

  once* of_ = nullptr;
};

/// Something that is done once, by whoever comes first; the others wait until it has been done. For threads and tasks
/// alike, 16 bytes. For what needs no arguments and lives as long as the program, a static local variable is shorter, but
/// blocks its thread, and nobody sees who waits for whom.
///
/// Tasks: `co_await call_once(o, [] -> task<> {...})` of task/call_once.hpp, or a turn:
/// `once_turn turn = co_await o.async_begin(); if (turn) { ...; turn.done(); }`.
///
/// - Exactly one call runs, the others wait for its end. [test: once.exactly_one_call_runs]
/// - What it did is seen by all who return. [test: once.publishes_what_was_done]
/// - One that ends by an exception has not been done: the exception goes to its caller, and the next one tries.
///   [test: once.an_exception_lets_the_next_one_try]
/// - Waits name the agent that is at it, so that a circle of them is found. [test: once.waits_name_who_is_at_it,
///   once.a_circle_of_them_is_found_and_can_be_broken]
///
/// Fairness: after a failure all who wait try, and the first one there gets the turn; so a task whose executor is busy
/// keeps nobody waiting. Cost: one load once it has been done.
/// Thread-safety: all members from any thread. Not async-signal-safe.
///
/// Outcomes:
/// - Destroyed by one whose call has returned, before done() has returned: allowed; other calls must have been let go or
///   have returned. [test: once.may_be_destroyed_by_whom_done_let_go]
/// - Destroyed while somebody is at it or waits: ends the program, but not while the process exits.
///   [test: once_misuse.destroying_what_is_waited_for_is_fatal, once_misuse.destroying_it_during_a_turn_is_fatal,
///   once_misuse.a_turn_that_lasts_until_exit_is_no_misuse]
/// - Called from within its own function: ends the program, as it would wait for itself.
///   [test: once_misuse.calling_it_from_within_is_fatal, once_misuse.a_task_that_calls_it_from_within_is_fatal]
/// - A turn that is ended by another agent: ends the program. [test: once_misuse.ending_anothers_turn_is_fatal]
/// - A thread that ends, by pthread_exit, while it is at it: as an exception.
///   [test: once.a_thread_that_ends_within_lets_the_next_one_try]
/// - A task that is stopped while it is at it: likewise. [test: once.a_task_stopped_within_lets_the_next_one_try]
/// - fork: the child has it as it was; what another thread was at stays so for ever.
///   [test: once_fork.what_another_thread_was_at_stays_so_in_the_child]
/// - A thread that is cancelled while it waits goes on waiting. [test: wait_queue.a_wait_is_no_cancellation_point]
class once {
 public:
  /// Called after the place where it is made.
  constexpr explicit(false) once(std::source_location made = std::source_location::current()) noexcept
      : queue_{false}, origin_{made} {}
  /// With a name; the text must live as long as the program (a literal).
  constexpr explicit once(const char* name) noexcept : queue_{true}, origin_{name} {}

  once(const once&) = delete;
  once& operator=(const once&) = delete;
  ~once() {
    if (word_.load(std::memory_order_relaxed) >> id_shift != 0 || !queue_.seems_empty()) destroyed_in_use();
  }

  /// Calls `f` if it has not been done; else waits until it has.
  template <std::invocable F>
  void call(F&& f, std::source_location site = std::source_location::current()) {
    if (is_done()) return;
    if (once_turn turn = begin(site)) {
      std::forward<F>(f)();
      turn.done();
    }
  }

  /// The same, but waits for another's run no longer than until the deadline (wait_error::timeout) or until `stop` fires
  /// (stopped). They do not end its own run.
  /// - A deadline ends the wait, and a stop. [test: once.a_deadline_and_a_stop_end_a_wait]
  template <std::invocable F>
  [[nodiscard]] std::expected<void, wait_error> call_until(
      F&& f, deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) {
    if (is_done()) return {};
    std::expected<once_turn, wait_error> turn = begin_until(until, stop, site);
    if (!turn) return std::unexpected{turn.error()};
    if (*turn) {
      std::forward<F>(f)();
      turn->done();
    }
    return {};
  }

  /// Whether it has been done; then all is seen that it did.
  [[nodiscard]] bool is_done() const noexcept { return (word_.load(std::memory_order_acquire) & done_bit) != 0; }  // E1

  /// Waits for the turn; an empty one says that it has been done.
  once_turn begin(std::source_location site = std::source_location::current()) noexcept;
  [[nodiscard]] std::expected<once_turn, wait_error> begin_until(
      deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) noexcept;
  /// The turn, if nobody is at it and it has not been done; else empty: ask is_done().
  /// - Never waits. [test: once.try_begin_does_not_wait]
  once_turn try_begin() noexcept;

  /// What a task's wait asks.
  class asker {
   public:
    asker(once& which, std::uint32_t self, bool tried) noexcept : which_{which}, self_{self}, tried_{tried} {}
    bool at_once() noexcept;
    bool under_lock() noexcept { return which_.look(self_, mine_); }
    once_turn value() const noexcept;

   private:
    once& which_;
    std::uint32_t self_;
    bool tried_;
    bool mine_ = false;
  };

  /// For tasks: `once_turn turn = co_await o.async_begin();` A stopped task unwinds.
  /// - Threads and tasks take turns. [test: once.threads_and_tasks_take_turns]
  [[nodiscard]] sync::queue_awaiter<asker, once_turn> async_begin(
      std::source_location site = std::source_location::current()) noexcept;
  /// For tasks: awaits std::expected<once_turn, wait_error>, see begin_until.
  /// - A deadline and a stop end it. [test: once.a_deadline_and_a_stop_end_a_tasks_wait]
  [[nodiscard]] sync::queue_awaiter_until<asker, once_turn> async_begin_until(
      deadline until, std::stop_token stop = {}, std::source_location site = std::source_location::current()) noexcept;

  /// The id of the agent that is at it, 0 if there is none; already old when it returns.
  [[nodiscard]] std::uint32_t holder() const noexcept { return word_.load(std::memory_order_relaxed) >> id_shift; }

 private:
  friend class once_turn;

  static constexpr std::uint32_t done_bit = 1;
  static constexpr std::uint32_t waiters_bit = 2;
  static constexpr unsigned id_shift = 2;

  enum class state : std::uint8_t { done, mine, others };
  state take(std::uint32_t self) noexcept;
  [[nodiscard]] bool look(std::uint32_t self, bool& mine) noexcept;
  once_turn turn(bool tried, const void* caller) noexcept;
  void finish(std::uint32_t outcome) noexcept;
  std::expected<bool, wait_error> wait(std::uint32_t self, bool breakable, deadline until, const std::stop_token& stop,
                                       std::source_location site) noexcept;
  [[nodiscard]] std::uint32_t checked_self(std::source_location site) const noexcept;
  [[nodiscard]] park::resource resource() const noexcept;
  void destroyed_in_use() const noexcept;

  std::atomic<std::uint32_t> word_{0};  // once.cpp
  park::queue queue_;                   // under its own lock
  origin origin_;                       // constant
};

static_assert(sizeof(once) == 16);

}  // namespace heddle
