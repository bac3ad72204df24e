#pragma once

#include <heddle/task/root.hpp>
#include <heddle/task/run_loop.hpp>

#include <optional>
#include <utility>

namespace heddle {

/// Runs a task on the calling thread until it ends, and gives its outcome. What the task starts runs here, too.
/// @param context the stop token and the deadline that it inherits.
/// - The outcome tells value, exception and stopped apart. [test: sync_wait.tells_the_three_outcomes_apart]
template <class T>
outcome<T> sync_wait_outcome(task<T> body, task_context context = {}, const char* name = "sync_wait") {
  run_loop loop{name};
  std::optional<outcome<T>> result;
  auto done = [&](outcome<T> ended) noexcept {
    result.emplace(std::move(ended));
    loop.finish();
  };
  tasks::make_root(std::move(body), std::move(done), loop, std::move(context), name, &loop).post();
  loop.run();
  return std::move(*result);
}

/// Runs a task on the calling thread until it ends; gives its value or throws its exception.
/// @throws task_stopped when the task ended as stopped.
/// - The task runs on the calling thread. [test: sync_wait.runs_on_the_calling_thread]
template <class T>
T sync_wait(task<T> body, task_context context = {}) {
  outcome<T> result = sync_wait_outcome(std::move(body), std::move(context));
  if (result.is_stopped()) throw task_stopped{};
  return std::move(result).value();
}

}  // namespace heddle
