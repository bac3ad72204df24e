#pragma once

#include <heddle/task/this_task.hpp>

#include <utility>

namespace heddle {

/// Runs a task to its end whatever the awaiting task's stop and deadline say: for what must not be left half done, as giving
/// something back over the network. Its value is given; a stop that came meanwhile ends the awaiting task at its next wait.
///
/// It is waited for as long as it takes: bound it with `shield(with_timeout(body, until))`. Task-locals are inherited.
/// - A stop does not reach it. [test: shield.a_stop_does_not_reach_what_is_within]
/// - The stop is not lost. [test: shield.a_stop_ends_the_task_at_its_next_wait]
/// - It may end itself as stopped. [test: shield.what_ends_itself_as_stopped_within_unwinds]
template <class T>
task<T> shield(task<T> body) {
  const task_context apart{{}, {}, (co_await this_task::context()).locals};
  co_return co_await in_context(std::move(body), apart);
}

}  // namespace heddle
