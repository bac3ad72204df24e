#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/agent.hpp>
#include <heddle/park/async_frame.hpp>
#include <heddle/park/phase.hpp>
#include <heddle/park/resource.hpp>

#include <concepts>
#include <coroutine>
#include <cstdint>
#include <optional>
#include <source_location>
#include <stop_token>

namespace heddle {

class task_binding;

/// What a task hands down to the tasks it awaits or starts.
struct task_context {
  std::stop_token stop{};                ///< when it fires, every wait of the task ends and the task unwinds as stopped
  deadline until{};                      ///< when the work is no longer wanted; told to those who call over a network
  const task_binding* locals = nullptr;  ///< the innermost value bound to a task_local, or null
};

/// A coroutine promise that carries an agent: what an awaitable of heddle can be awaited from. task<T>'s promise is
/// one. `unwind()` makes the coroutine and those that await it end as stopped, and says where to go on.
/// - Others than task<T> can wait, too. [test: wait.any_coroutine_with_an_agent_can_wait]
/// - A promise without an agent is refused. [test: compile_fail.awaiting_from_a_foreign_promise]
template <class Promise>
concept agent_promise = requires(Promise& promise) {
  { promise.agent() } -> std::same_as<agent&>;
  { promise.context() } -> std::same_as<const task_context&>;
  { promise.unwind() } -> std::same_as<std::coroutine_handle<>>;
};

namespace park {

/// A wait of the calling thread (on behalf of the current agent, which may be a task that blocks its thread).
///
/// Use: construct; under the lock of the primitive's queue either find that there is nothing to wait for, or push
/// node(); then park(). When park() returns a result other than a waker's, take the node out of the queue. rearm()
/// starts another attempt that keeps the wait's age. The destructor ends the wait.
///
/// - Of waker, deadline, stop and victim exactly one ends it. [test: wait.it_ends_once_whoever_else_wants_to_end_it]
/// - One that has been claimed waits for its result, whatever deadline and stop say.
///   [test: wait.one_that_is_claimed_is_not_ended_by_deadline_or_stop]
/// - A task that blocks its thread waits as the task. [test: wait.a_task_that_blocks_its_thread_waits_as_the_task]
/// - Whoever has pinned it may look at what it waits for. [test: wait.a_pinned_one_does_not_return_until_it_is_let_go]
/// - A wait that begins within another one of the same agent has a slot of its own.
///   [test: wait.one_within_another_has_a_slot_of_its_own]
class thread_wait {
 public:
  thread_wait(const resource& what, deadline until, std::source_location site) noexcept;
  ~thread_wait();
  thread_wait(const thread_wait&) = delete;
  thread_wait& operator=(const thread_wait&) = delete;

  [[nodiscard]] slot& node() noexcept { return slot_; }

  /// Sleeps until the wait is claimed and published, `until` has come (timed_out), or `stop` fires (stopped).
  /// @param may_spin whether it may look for a while before it sleeps: for waits that are often answered at once, while
  ///   nobody else waits there. At most 50 microseconds, ever more seldom while it is in vain, and never when the process
  ///   may use one CPU only.
  /// @return a result phase: woken, granted, closed, timed_out, stopped or victim.
  /// - The waker's result is returned. [test: wait.a_thread_is_woken_with_the_result_of_its_waker]
  /// - What the waker did before is seen. [test: wait.what_its_waker_did_is_seen]
  /// - The deadline ends it, and not early. [test: wait.a_deadline_ends_it_and_not_early]
  /// - The stop ends it. [test: wait.a_stop_ends_it]
  /// - After 5 ms, if waits are diagnosed and this one is telling, it wakes once to note down its stack for reports
  ///   (internal/long_wait.hpp), and never again. [test: long_wait.keeps_its_stack_and_ends_as_any_other,
  ///   long_wait.wakes_no_more_once_its_stack_is_kept, long_wait.keeps_nothing_while_nothing_is_diagnosed,
  ///   long_wait.one_with_an_earlier_deadline_keeps_none]
  /// - One that has been redirected is not ended by deadline or stop.
  ///   [test: redirect.neither_deadline_nor_stop_ends_it_afterwards]
  [[nodiscard]] phase park(deadline until, const std::stop_token& stop, bool may_spin = false) noexcept;

  /// Whether its waker has made it a wait for something else, in another queue (see redirect() in internal/slot.hpp).
  /// Deadline and stop have not counted from then on.
  [[nodiscard]] bool redirected() const noexcept;

  /// The next attempt. The node must not be claimed by anybody (it has just got a result).
  void rearm() noexcept;

 private:
  void spin(deadline until) noexcept;

  slot& slot_;
  std::uint64_t generation_;
  std::int64_t stack_due_ns_;  // see internal/long_wait.hpp
  bool stack_kept_{false};
};

/// A wait of a task: the base of every awaiter in heddle.
///
/// A derived class gives the four functions below and its own await_resume(). All four are called with the task's agent
/// current. The object lies in the coroutine frame; once commit has succeeded another thread may resume the task, so
/// nothing touches `this` after that.
///
/// - Whoever ends the wait posts the task once. [test: wait.a_task_is_posted_once_with_the_result_of_its_waker]
/// - What happens between enqueue() and the suspension is not lost: a wake, a stop, a deadline, half a wake.
///   [test: wait.a_wake_while_it_is_being_armed_is_not_lost, wait.a_stop_while_it_is_being_armed_is_not_lost,
///   wait.a_deadline_while_it_is_being_armed_is_not_lost,
///   wait.one_claimed_while_it_was_being_armed_is_posted_when_the_result_comes]
/// - Whoever meant an earlier wait of the same task does not end this one.
///   [test: wait.a_late_canceller_does_not_hit_the_next_wait]
/// - One that is told to give way first lets others of its executor run before it looks whether there is anything to wait
///   for. [test: task_budget.an_always_ready_loop_lets_others_run]
class task_wait : private work_item {
 public:
  task_wait(const task_wait&) = delete;
  task_wait& operator=(const task_wait&) = delete;

  [[nodiscard]] bool await_ready() noexcept { return !gives_way_ && ready(); }

  template <agent_promise Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    if constexpr (std::derived_from<Promise, async_frame>) frame_ = &handle.promise();
    handle_ = handle;
    agent_ = &handle.promise().agent();
    go_on_ = [](task_wait& self, bool unwinds) noexcept -> std::coroutine_handle<> {
      const auto suspended = std::coroutine_handle<Promise>::from_address(self.handle_.address());
      auto& promise = suspended.promise();
      if (unwinds || (self.observes_context_ && promise.context().stop.stop_requested())) return promise.unwind();
      return self.ready() ? suspended : self.task_wait::await_suspend(suspended);
    };
    return gives_way_ ? give_way() : start(handle.promise().context());
  }

  /// The task has awaited so often without waiting that it is others' turn: it is posted to its executor's end, and awaits
  /// then, unless it has been stopped. To be called before await_ready().
  /// - So a loop that never waits can be stopped. [test: task_budget.a_stop_that_comes_while_others_run_ends_the_task]
  void give_way_first() noexcept { gives_way_ = true; }

  /// The innermost coroutine of the chain that waits in `wait`, a suspended task's slot::item; null if it has no frames.
  [[nodiscard]] static const async_frame* frame_of(const task_wait& wait) noexcept { return wait.frame_; }

 protected:
  /// What follows a claim.
  enum class step : std::uint8_t {
    resume,  ///< continue the coroutine
    unwind,  ///< end it as stopped
    wait,    ///< rearm() was called and the node stands in a queue again: wait on
  };

  /// @param until,stop the operation's own limits; the task's context is observed besides.
  /// @param site the waiting call; an empty one stands for the place of the co_await, as far as the coroutine knows it.
  task_wait(const resource& what, deadline until, std::stop_token stop, std::source_location site) noexcept
      : what_{what}, until_{until}, stop_{std::move(stop)}, site_{site} {}
  ~task_wait() { abandon(); }

  /// Tries without waiting; true: done.
  [[nodiscard]] virtual bool ready() noexcept = 0;

  /// Puts node() into its queue, or finds under the queue's lock that there is nothing to wait for. True: it waits.
  [[nodiscard]] virtual bool enqueue() noexcept = 0;

  /// The wait got `result` (any result phase). For a canceller's result the node still stands in its queue and must be
  /// taken out here.
  [[nodiscard]] virtual step claimed(phase result) noexcept = 0;

  /// Called when the wait is over before it began: `until` has passed, or `stop` had fired.
  virtual void refused(phase result) noexcept = 0;

  [[nodiscard]] slot& node() noexcept { return *slot_; }
  [[nodiscard]] heddle::agent& waiting_agent() noexcept { return *agent_; }
  [[nodiscard]] deadline until() const noexcept { return until_; }

  /// The next attempt of the same wait; the node must not be claimed by anybody (it has just got a result). If it was
  /// redirected, no deadline and no stop counts any more.
  void rearm() noexcept;

  /// From a claim on: waits for something else next, without a deadline and whatever is stopped. The node must not
  /// stand in a queue. For waits with two stages, such as a condition's.
  void wait_instead_for(const resource& what) noexcept;

  /// A deadline that has passed already does not refuse the wait: it begins, and ends at once. For waits that have to let
  /// go of something. To be called before the wait begins.
  void begins_even_if_late() noexcept { refuses_late_ = false; }

  /// From here on the derived class ends the wait at its deadline by itself, with cancel_current(); the clock does not.
  /// To be called before the wait begins, so in ready().
  void keeps_own_time() noexcept { clock_keeps_time_ = false; }

  /// From here on the stop of the task's context does not end this wait.
  void ignore_context() noexcept { observes_context_ = false; }

  /// Lets this attempt end as timed_out at `when` if that is earlier than its deadline.
  void recheck_at(deadline when) noexcept;

  /// Fatal if the frame is destroyed in the middle of the wait: others may be about to resume it. To end a task early,
  /// stop it and await it.
  /// - It ends the program. [test: wait_misuse.destroying_a_task_in_its_wait_is_fatal]
  void abandon() const noexcept;

 private:
  struct claimer {
    slot* target;
    phase result;
    void operator()() const noexcept;
  };
  using stop_watch = std::optional<std::stop_callback<claimer>>;

  std::coroutine_handle<> start(const task_context& context) noexcept;
  std::coroutine_handle<> give_way() noexcept;
  std::coroutine_handle<> commit_or_continue() noexcept;
  void set_alarm(deadline recheck) noexcept;
  void forget_limits() noexcept;
  void finish() noexcept;
  static void resume_item(work_item* item) noexcept;

  resource what_;
  deadline until_;
  std::stop_token stop_;
  std::source_location site_;
  std::stop_token context_stop_;
  std::coroutine_handle<> handle_;
  std::coroutine_handle<> (*go_on_)(task_wait&, bool unwinds) noexcept = nullptr;
  const async_frame* frame_ = nullptr;
  heddle::agent* agent_ = nullptr;
  slot* slot_ = nullptr;
  std::uint64_t generation_ = 0;
  bool armed_ = false;
  bool observes_context_ = true;
  bool clock_keeps_time_ = true;
  bool refuses_late_ = true;
  bool gives_way_ = false;
  stop_watch own_watch_;
  stop_watch context_watch_;
};

/// The error that a canceller's result stands for.
/// - Each result has its error. [test: wait.errors_say_what_ended_it]
[[nodiscard]] constexpr wait_error error_of(phase result) noexcept {
  switch (result) {
    case phase::stopped:
    case phase::cancelled: return wait_error::stopped;
    case phase::victim: return wait_error::deadlock;
    case phase::closed: return wait_error::closed;
    default: return wait_error::timeout;
  }
}

}  // namespace park
}  // namespace heddle
