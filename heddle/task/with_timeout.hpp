#pragma once

#include <heddle/task/scope.hpp>

#include <expected>

namespace heddle {

/// Runs a task for at most so long: when the deadline comes it is stopped, awaited, and wait_error::timeout is the result.
///
/// The task has ended, its frames are destroyed, when this returns, whatever the outcome. A task that ends in time
/// although the deadline has come keeps its value.
/// - A task that is late is stopped and awaited. [test: with_timeout.a_late_task_is_stopped_and_awaited]
/// - A task in time gives its value. [test: with_timeout.a_task_in_time_gives_its_value]
/// - An outer stop is not taken for a timeout: it unwinds. [test: with_timeout.an_outer_stop_is_not_a_timeout]
/// - Exceptions pass through. [test: with_timeout.an_exception_passes_through]
template <class T>
task<std::expected<T, wait_error>> with_timeout(task<T> body, deadline until) {
  nested_context limited{co_await this_task::context(), until};
  outcome<T> ended = co_await as_outcome(std::move(body), &limited.context());
  if (ended.is_stopped()) {
    if (!limited.expired()) co_await this_task::end_as_stopped();
    co_return std::unexpected{wait_error::timeout};
  }
  if constexpr (std::is_void_v<T>) {
    std::move(ended).value();
    co_return std::expected<void, wait_error>{};
  } else {
    co_return std::move(ended).value();
  }
}

}  // namespace heddle
