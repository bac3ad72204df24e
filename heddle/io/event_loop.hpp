#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/io/timer_entry.hpp>
#include <heddle/park/executor.hpp>
#include <heddle/task/sync_wait.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <source_location>
#include <utility>

namespace heddle::io {

class loop_core;
class sleep_awaiter;

/// Runs tasks on one thread and waits, on their behalf, for sockets, timers and signals.
///
/// A program makes one, hands it to whatever does I/O, and gives its main task to run(). Structure comes from tasks:
/// start children in a scope, so that run() returns only when they have ended.
///
/// - run(task) drives a task to its end on the calling thread. [test: event_loop.runs_a_task_to_its_end]
/// - Posted items run in the order in which they were posted by one thread. [test: event_loop.runs_items_in_order]
/// - Any thread may post; a sleeping loop wakes up for it. [test: event_loop.wakes_up_for_posts_of_other_threads]
/// - While nothing happens the loop sleeps: no periodic wake-ups. [test: event_loop.does_not_wake_up_while_idle]
/// - Items, timers and sockets are fair to each other: a turn of the loop runs a bounded number of items.
///   [test: event_loop.busy_items_do_not_starve_timers, tcp.a_busy_stream_does_not_starve_the_rest]
/// - The loop's thread shows in park's snapshot while it sleeps. [test: event_loop.shows_its_sleep_in_the_snapshot]
/// - Destroying it while it runs or while a stream, listener or signal_set of it lives ends the program.
///   [test: event_loop_misuse.destroying_it_under_an_open_listener_is_fatal]
///
/// Thread-safety: post(), stop(), turns() and name() from any thread; the awaitables from tasks of any executor, though
/// tasks that run on the loop itself pay least. run() on one thread at a time.
class event_loop final : public executor {
 public:
  /// @param name static text for the inspector.
  /// @throws std::system_error when the system has no descriptor left.
  explicit event_loop(const char* name = "event_loop");
  ~event_loop() override;

  /// From the loop's own thread a post costs a few nanoseconds; from another, one compare-and-swap, and one system call
  /// if the loop sleeps.
  void post(work_item& item) noexcept override;
  [[nodiscard]] const char* name() const noexcept override { return name_; }

  /// Runs until stop() has been called and no item is ready; tasks that still wait stay suspended, and go on in the
  /// next run(). A stop() from before run() counts.
  /// - Items that were ready when stop() came are run. [test: event_loop.drains_what_is_ready_before_it_returns]
  void run() noexcept;

  /// Makes run() return. Does not stop tasks: pass them a stop_token for that.
  void stop() noexcept;

  /// Runs `body`, and whatever else the loop has to do, until `body` has ended; gives its outcome.
  /// @param context the stop token and deadline that it inherits.
  /// @param task_name static text for the inspector.
  /// - The outcome tells value, exception and stopped apart. [test: event_loop.tells_the_outcomes_of_a_task_apart]
  template <class T>
  outcome<T> run_outcome(task<T> body, task_context context = {}, const char* task_name = "main");

  /// As run_outcome(); gives the value or throws the exception.
  /// @throws task_stopped when the task ended as stopped.
  template <class T>
  T run(task<T> body, task_context context = {});

  /// Awaited by a task: goes on when the deadline has come, never earlier, and at most about 2 ms later on an idle
  /// machine. `never` sleeps until the task is stopped. A stop of the task's context unwinds it.
  /// - It never ends early. [test: event_loop.a_sleep_never_ends_early]
  /// - Ten thousand tasks sleep at once on one thread. [test: event_loop.ten_thousand_tasks_sleep_on_one_thread]
  /// - Stopping the task ends its sleep and leaves no waiter. [test: event_loop.a_stopped_sleep_leaves_no_waiter]
  [[nodiscard]] sleep_awaiter sleep_until(deadline when,
                                          std::source_location site = std::source_location::current()) noexcept;
  template <class Rep, class Period>
  [[nodiscard]] sleep_awaiter sleep_for(std::chrono::duration<Rep, Period> time,
                                        std::source_location site = std::source_location::current()) noexcept;

  /// How often the loop has asked the system what is ready: grows only while something happens.
  [[nodiscard]] std::uint64_t turns() const noexcept;

  /// For the operations of io.
  [[nodiscard]] loop_core& core() noexcept { return *core_; }

 private:
  void run_until(const bool& ended) noexcept;

  const char* name_;
  std::unique_ptr<loop_core> core_;
};

/// What event_loop::sleep_until() and sleep_for() return.
class [[nodiscard]] sleep_awaiter final : public park::task_wait {
 public:
  void await_resume() const noexcept {}

 private:
  friend class event_loop;
  sleep_awaiter(loop_core& core, deadline when, std::source_location site) noexcept;
  [[nodiscard]] bool ready() noexcept override;
  [[nodiscard]] bool enqueue() noexcept override;
  [[nodiscard]] step claimed(park::phase result) noexcept override;
  void refused(park::phase) noexcept override {}

  struct timer final : timer_entry {
    sleep_awaiter* owner = nullptr;
  };
  loop_core& core_;
  timer timer_;
  bool on_loop_ = false;  // the task runs on the loop itself, whose wheel then keeps the time
};

template <class T>
outcome<T> event_loop::run_outcome(task<T> body, task_context context, const char* task_name) {
  std::optional<outcome<T>> result;
  bool ended = false;  // touched by the loop's thread only
  auto done = [&](outcome<T> how) noexcept {
    result.emplace(std::move(how));
    ended = true;
  };
  tasks::make_root(std::move(body), std::move(done), *this, std::move(context), task_name, this).post();
  run_until(ended);
  return std::move(*result);
}

template <class T>
T event_loop::run(task<T> body, task_context context) {
  outcome<T> result = run_outcome(std::move(body), std::move(context));
  if (result.is_stopped()) throw task_stopped{};
  return std::move(result).value();
}

template <class Rep, class Period>
sleep_awaiter event_loop::sleep_for(std::chrono::duration<Rep, Period> time, std::source_location site) noexcept {
  return sleep_until(deadline::after(time), site);
}

}  // namespace heddle::io
