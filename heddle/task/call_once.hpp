#pragma once

#include <heddle/sync/once.hpp>
#include <heddle/task/task.hpp>

#include <concepts>
#include <source_location>
#include <utility>

namespace heddle {

/// once::call() for tasks: awaits `f()` if it has not been done, else waits until it has. `f` gives a task; it is kept
/// until that has ended, so it may capture.
///
/// An exception goes to the awaiter, and the next one tries; likewise when the task is stopped in it.
/// - It runs once. [test: call_once.one_task_runs_it_and_the_others_wait]
/// - A failure lets the next one try. [test: call_once.an_exception_lets_the_next_task_try,
///   call_once.a_task_stopped_within_lets_the_next_one_try]
template <std::invocable F>
task<void> call_once(once& o, F f, std::source_location site = std::source_location::current()) {
  if (o.is_done()) co_return;
  if (once_turn turn = co_await o.async_begin(site)) {
    co_await f();
    turn.done();
  }
}

}  // namespace heddle
