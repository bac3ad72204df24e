#pragma once

#include <heddle/task/future.hpp>
#include <heddle/task/root.hpp>

#include <utility>

namespace heddle {

/// Starts a task on an executor from anywhere, and gives a future of how it ends. future::cancel() stops the task; if it ends
/// as stopped, the future throws task_stopped.
///
/// In tasks use a scope instead, which cannot forget its children: nobody waits for this one but who keeps the future. What
/// it refers to, and the executor, must outlive it.
/// @param until the deadline that it inherits.
/// @param name static text for the inspector, or null.
/// @throws std::bad_alloc when there is no memory; then the task never began.
/// - The value or the exception arrives. [test: start_on.the_future_tells_how_the_task_ended]
/// - Cancelling stops it. [test: start_on.cancelling_the_future_stops_the_task]
template <class T>
[[nodiscard]] future<T> start_on(executor& where, task<T> body, deadline until = {}, const char* name = nullptr) {
  promise<T> gives;
  future<T> answer = gives.get_future();
  task_context context{gives.when_cancelled(), until};
  auto done = [gives = std::move(gives)](outcome<T>&& ended) mutable noexcept {
    if (ended.is_stopped()) return gives.set_exception(std::make_exception_ptr(task_stopped{}));
    if (ended.error()) return gives.set_exception(ended.error());
    try {
      if constexpr (std::is_void_v<T>) {
        gives.set_value();
      } else {
        gives.set_value(std::move(ended).value());
      }
    } catch (...) {
      gives.set_exception(std::current_exception());
    }
  };
  tasks::make_root(std::move(body), std::move(done), where, std::move(context), name).post();
  return answer;
}

}  // namespace heddle
