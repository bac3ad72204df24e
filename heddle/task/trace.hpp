#pragma once

#include <heddle/park/snapshot.hpp>
#include <heddle/task/task.hpp>

#include <source_location>
#include <string>
#include <vector>

namespace heddle {

/// Where a task is: the places at which its coroutines await each other, the innermost first. At most 64.
struct task_trace {
  std::vector<std::source_location> places;

  /// A line for each: "storefront/orders.cpp:40 (reserve)".
  [[nodiscard]] std::string text() const;
};

/// A task that was suspended in a wait when it was looked at.
struct suspended_task {
  park::wait_info wait;  ///< who it is, what it waits for, since when, until when
  task_trace trace;      ///< how it came there; empty if the wait ended just then
};

/// All tasks of the process that are suspended in a wait, the oldest wait first. Tasks that run or are about to are not
/// among them, nor those that have not been started.
/// - Each is there with the whole chain. [test: trace.of_every_suspended_task_shows_how_it_came_there]
/// - It may be taken while tasks come and go. [test: trace.may_be_taken_while_tasks_come_and_go]
///
/// Thread-safety: any thread, any time; nobody is stopped. Cost: some 100 ns for each agent and 10 ns for each frame; a task
/// whose wait ends meanwhile may be held up for as long as its own frames are read.
[[nodiscard]] std::vector<suspended_task> suspended_tasks();

/// The same as a text for people: for each task a line with what it waits for, then its trace.
/// - [test: trace.of_all_tasks_can_be_printed]
[[nodiscard]] std::string dump_tasks();

namespace this_task {

/// What trace() returns.
class [[nodiscard]] trace_awaiter {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <std::derived_from<promise_base> Promise>
  bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
    innermost_ = &self.promise();
    return false;
  }
  [[nodiscard]] task_trace await_resume() const;

 private:
  const park::async_frame* innermost_ = nullptr;
};

/// Awaits the trace of the task at this very place. Never suspends.
/// - [test: trace.of_oneself_names_everybody_who_awaits]
inline trace_awaiter trace() noexcept { return {}; }

}  // namespace this_task
}  // namespace heddle
