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
#include <type_traits>
#include <utility>

namespace heddle {

template <std::invocable Completion>
class barrier;

/// What barrier::arrive() gives: which phase it was. For wait().
class [[nodiscard]] barrier_arrival {
 private:
  template <std::invocable Completion>
  friend class barrier;
  explicit barrier_arrival(std::uint32_t phase) noexcept : phase_{phase} {}
  std::uint32_t phase_;
};

namespace sync {

/// All of a barrier but its completion.
class barrier_core {
 public:
  constexpr barrier_core(std::uint32_t count, bool named, origin made) noexcept
      : word_{count}, expected_{count}, queue_{named}, origin_{made} {}
  barrier_core(const barrier_core&) = delete;
  barrier_core& operator=(const barrier_core&) = delete;
  ~barrier_core() {
    if (!queue_.seems_empty()) destroyed_in_use();
  }

  struct arrived {
    std::uint32_t phase;  ///< the phase that it arrived in
    bool last;            ///< nobody is missing: the arrival must complete the phase, with next_phase()
  };
  arrived arrive(std::uint32_t n, bool drop) noexcept {
    if (drop) expected_.fetch_sub(1, std::memory_order_relaxed);
    std::uint64_t seen = word_.load(std::memory_order_relaxed);
    do {
      if (n > pending(seen)) too_many();  // I1
    } while (!word_.compare_exchange_weak(seen, seen - n, std::memory_order_acq_rel, std::memory_order_relaxed));  // E1
    return {phase(seen), n != 0 && pending(seen) == n};
  }
  /// Begins the next phase and lets all go who wait for the last. The last access to the barrier.
  void next_phase() noexcept {
    std::uint64_t seen = word_.load(std::memory_order_relaxed);
    if ((seen & waiters_bit) == 0 && word_.compare_exchange_strong(seen, next(seen), std::memory_order_release,
                                                                   std::memory_order_relaxed)) {  // E1, I3
      return;
    }
    next_phase_slow();
  }
  /// Whether the phase is over.
  [[nodiscard]] bool try_wait(std::uint32_t which) const noexcept {
    return phase(word_.load(std::memory_order_acquire)) != which;  // E1
  }
  std::expected<void, wait_error> wait(std::uint32_t which, bool breakable, deadline until, const std::stop_token& stop,
                                       std::source_location site) noexcept;
  /// The same under the queue's lock; if it is not, says that somebody waits.
  [[nodiscard]] bool look(std::uint32_t which) noexcept;

  [[nodiscard]] park::queue& queue() noexcept { return queue_; }
  [[nodiscard]] park::resource resource() const noexcept;

 private:
  static constexpr unsigned phase_shift = 33;
  static constexpr std::uint64_t waiters_bit = 1ULL << 32U;

  static constexpr std::uint32_t phase(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word >> phase_shift);
  }
  static constexpr std::uint32_t pending(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word); }
  [[nodiscard]] std::uint64_t next(std::uint64_t word) const noexcept {
    return ((word >> phase_shift) + 1) << phase_shift | expected_.load(std::memory_order_relaxed);
  }
  void next_phase_slow() noexcept;
  [[noreturn]] static void too_many() noexcept;
  void destroyed_in_use() const noexcept;

  std::atomic<std::uint64_t> word_;      // barrier.cpp
  std::atomic<std::uint32_t> expected_;  // arrivals in each phase to come
  park::queue queue_;                    // under its own lock
  origin origin_;                        // constant
};

/// The completion of a barrier that has none.
struct nothing {
  void operator()() const noexcept {}
};

}  // namespace sync

/// Where agents meet phase after phase: nobody goes on before the last has arrived. For threads and tasks alike, 24 bytes
/// and the completion, which the last to arrive calls before anybody goes on.
///
/// The completion must be noexcept. It may wait; it runs on the thread, and for the agent, of the last to arrive.
///
/// - Nobody passes before all have arrived, in any number of phases. [test: barrier.nobody_passes_before_all_have_arrived]
/// - The completion runs once in each phase, after the last arrival and before anybody goes on.
///   [test: barrier.the_completion_runs_once_before_anybody_goes_on]
/// - What was done before an arrival is seen by the completion, and after every wait for the phase.
///   [test: barrier.publishes_what_was_done_before_the_arrivals]
/// - A waiter that gives up has still arrived: the phase goes on without it, and is not held up by it.
///   [test: barrier.one_that_gives_up_has_still_arrived]
/// - Who drops out is expected no more. [test: barrier.who_drops_out_is_expected_no_more]
///
/// Fairness: nobody competes. Cost: an arrival is one compare-and-swap, the last one's two; try_wait() is one load.
/// Thread-safety: all members from any thread. Not async-signal-safe.
///
/// Outcomes:
/// - Destroyed by one that was let go, before the last arrival has returned: allowed; other waits must have been let go or
///   have returned. [test: barrier.may_be_destroyed_by_whom_the_last_one_let_go]
/// - Destroyed while somebody waits: ends the program, but not while the process exits.
///   [test: barrier_misuse.destroying_what_is_waited_for_is_fatal,
///   barrier_misuse.a_wait_that_lasts_until_exit_is_no_misuse]
/// - More arrivals than are missing, also while the completion runs: ends the program.
///   [test: barrier_misuse.an_arrival_too_many_is_fatal]
/// - A completion that may throw: does not compile. [test: compile_fail.a_barrier_whose_completion_may_throw]
/// - fork: the child has the phase as it was, and none of the threads that waited or would have arrived.
///   [test: barrier_fork.the_child_arrives_for_itself]
/// - A thread that is cancelled while it waits goes on waiting. [test: wait_queue.a_wait_is_no_cancellation_point]
template <std::invocable Completion = sync::nothing>
class barrier {
  static_assert(std::is_nothrow_invocable_v<Completion&>, "a barrier's completion must be noexcept");

 public:
  /// A barrier for `count` arrivals in each phase, called after the place where it is made.
  constexpr explicit barrier(std::uint32_t count, Completion completion = {},
                             std::source_location made = std::source_location::current()) noexcept
      : core_{count, false, origin{made}}, completion_{std::move(completion)} {}
  /// With a name; the text must live as long as the program (a literal).
  constexpr barrier(std::uint32_t count, const char* name, Completion completion = {}) noexcept
      : core_{count, true, origin{name}}, completion_{std::move(completion)} {}

  /// Arrives `n` times; completes the phase if nobody is missing. Does not wait for others. Where it does not complete the
  /// phase it is the last access to the barrier.
  /// - The wait can come later. [test: barrier.an_arrival_may_be_waited_for_later]
  barrier_arrival arrive(std::uint32_t n = 1) noexcept {
    const sync::barrier_core::arrived now = core_.arrive(n, false);
    if (now.last) complete();
    return barrier_arrival{now.phase};
  }

  /// Arrives and is expected no more in later phases.
  void arrive_and_drop() noexcept {
    if (core_.arrive(1, true).last) complete();
  }

  /// Whether the phase of the arrival is over.
  /// - Never waits. [test: barrier.try_wait_does_not_wait]
  [[nodiscard]] bool try_wait(const barrier_arrival& at) const noexcept { return core_.try_wait(at.phase_); }

  /// Waits until the phase of the arrival is over.
  void wait(barrier_arrival at, std::source_location site = std::source_location::current()) noexcept {
    (void)core_.wait(at.phase_, false, {}, {}, site);
  }
  /// The same until the deadline comes (wait_error::timeout) or `stop` fires (stopped). A phase that is over is seen even
  /// late.
  /// - A deadline ends it, and a stop. [test: barrier.a_deadline_and_a_stop_end_a_wait]
  [[nodiscard]] std::expected<void, wait_error> wait_until(
      barrier_arrival at, deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) noexcept {
    return core_.wait(at.phase_, true, until, stop, site);
  }

  /// Arrives, then waits until the phase is over.
  void arrive_and_wait(std::source_location site = std::source_location::current()) noexcept { wait(arrive(), site); }
  /// Arrives, whatever deadline and stop say, then waits as wait_until.
  [[nodiscard]] std::expected<void, wait_error> arrive_and_wait_until(
      deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) noexcept {
    return wait_until(arrive(), until, stop, site);
  }

  /// What a task's wait asks.
  class asker {
   public:
    asker(barrier& which, std::uint32_t phase, bool arrives) noexcept
        : which_{which}, phase_{phase}, arrives_{arrives} {}
    bool at_once() noexcept {
      if (arrives_) phase_ = which_.arrive().phase_;
      return which_.core_.try_wait(phase_);
    }
    bool under_lock() const noexcept { return which_.core_.look(phase_); }

   private:
    barrier& which_;
    std::uint32_t phase_;
    bool arrives_;
  };

  /// For tasks: `co_await b.async_wait(b.arrive());` A stopped task unwinds.
  [[nodiscard]] sync::queue_awaiter<asker> async_wait(
      barrier_arrival at, std::source_location site = std::source_location::current()) noexcept {
    return {asker{*this, at.phase_, false}, core_.queue(), core_.resource(), {}, {}, site};
  }
  /// For tasks: awaits std::expected<void, wait_error>, see wait_until.
  [[nodiscard]] sync::queue_awaiter_until<asker> async_wait_until(
      barrier_arrival at, deadline until, std::stop_token stop = {},
      std::source_location site = std::source_location::current()) noexcept {
    return {asker{*this, at.phase_, false},
            core_.queue(),
            core_.resource().for_breakable_call(),
            until,
            std::move(stop),
            site};
  }
  /// For tasks: arrives when it is awaited, then waits. A task that is stopped has still arrived.
  /// - Threads and tasks meet at it. [test: barrier.threads_and_tasks_meet_at_it]
  /// - Giving up takes nothing back. [test: barrier.a_task_that_gives_up_has_still_arrived]
  [[nodiscard]] sync::queue_awaiter<asker> async_arrive_and_wait(
      std::source_location site = std::source_location::current()) noexcept {
    return {asker{*this, 0, true}, core_.queue(), core_.resource(), {}, {}, site};
  }
  /// For tasks: awaits std::expected<void, wait_error>, see arrive_and_wait_until.
  [[nodiscard]] sync::queue_awaiter_until<asker> async_arrive_and_wait_until(
      deadline until, std::stop_token stop = {}, std::source_location site = std::source_location::current()) noexcept {
    return {asker{*this, 0, true}, core_.queue(), core_.resource().for_breakable_call(), until, std::move(stop), site};
  }

 private:
  void complete() noexcept {
    completion_();
    core_.next_phase();
  }

  sync::barrier_core core_;
  [[no_unique_address]] Completion completion_;
};

static_assert(sizeof(barrier<>) == 24);

}  // namespace heddle
