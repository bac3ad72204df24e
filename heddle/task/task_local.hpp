#pragma once

#include <heddle/task/this_task.hpp>

#include <utility>

namespace heddle {

/// A value bound to a task_local, in the frame of the task that bound it.
class task_binding {
 public:
  task_binding(const void* key, const void* value, const task_binding* outer) noexcept
      : key_{key}, value_{value}, outer_{outer} {}

  /// The innermost value bound to `key`, or null.
  [[nodiscard]] static const void* find(const task_binding* innermost, const void* key) noexcept {
    for (const task_binding* each = innermost; each != nullptr; each = each->outer_) {
      if (each->key_ == key) return each->value_;
    }
    return nullptr;
  }

 private:
  const void* key_;
  const void* value_;
  const task_binding* outer_;
};

/// A value that goes with a task to whatever it awaits or starts in a scope, as a request's id does: what thread_local is
/// to threads. A global of the program:
///
///     constexpr task_local<request_id> current_request;
///     co_await current_request.with(id, handle(request));
///     ... const request_id* id = co_await current_request.get();
///
/// - What is bound is seen by the whole tree below, and nowhere else.
///   [test: task_local.is_seen_by_what_is_awaited_and_by_children]
/// - The innermost one counts. [test: task_local.the_innermost_value_counts]
///
/// Thread-safety: the binding is never changed; children on other threads read the same value. Cost of get(): a step for
/// each binding further in.
template <class T>
class task_local {
 public:
  constexpr task_local() noexcept = default;
  task_local(const task_local&) = delete;
  task_local& operator=(const task_local&) = delete;
  ~task_local() = default;

  /// What get() returns.
  class [[nodiscard]] awaiter {
   public:
    explicit awaiter(const task_local& asked) noexcept : asked_{asked} {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <agent_promise Promise>
    bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
      found_ = static_cast<const T*>(task_binding::find(self.promise().context().locals, &asked_));
      return false;
    }
    [[nodiscard]] const T* await_resume() const noexcept { return found_; }

   private:
    const task_local& asked_;
    const T* found_ = nullptr;
  };

  /// Awaits the value that is bound where the task runs, or null. Never suspends. The value lives at least as long as the
  /// awaiting coroutine.
  [[nodiscard]] awaiter get() const noexcept { return awaiter{*this}; }

  /// Runs `body` with `value` bound.
  template <class R>
  task<R> with(T value, task<R> body) const {
    const task_context& outer = co_await this_task::context();
    const task_binding bound{this, &value, outer.locals};
    task_context inner = outer;
    inner.locals = &bound;
    co_return co_await in_context(std::move(body), inner);
  }

 private:
  char unique_ = 0;  // constants of the same type may not share an address
};

}  // namespace heddle
