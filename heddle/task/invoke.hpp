#pragma once

#include <heddle/task/task.hpp>

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

namespace heddle {

/// Calls a function that gives a task, and keeps the function and the arguments until the task has ended. So a lambda that
/// is a coroutine may capture, though nobody else keeps it:
///
///     children.spawn(heddle::invoke([file]() -> task<void> { co_await send(file); }));
///
/// Without it, `[file]() -> task<void> {…}()` destroys the lambda, and `file` with it, before the task runs. The arguments
/// are copied or moved and handed on as values; std::ref hands on a reference, as for std::thread.
/// - What was captured lives as long as the task. [test: invoke.what_was_captured_lives_as_long_as_the_task]
/// - Arguments are kept, too. [test: invoke.arguments_live_as_long_as_the_task]
template <class F, class... Args>
  requires std::invocable<F&, Args...> &&
           requires(std::invoke_result_t<F&, Args...> made) { typename decltype(made)::promise_type; }
std::invoke_result_t<F&, Args...> invoke(F f, Args... args) {
  co_return co_await std::invoke(f, static_cast<Args&&>(args)...);
}

}  // namespace heddle
