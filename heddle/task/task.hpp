#pragma once

#include <heddle/sys/coroutines.hpp>
//
#include <heddle/base/fatal.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/task/outcome.hpp>

#include <concepts>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace heddle {

template <class T = void>
class task;

/// What the promises of heddle's coroutines share: the agent that runs the chain, the context that is handed down, and
/// the links of the chain.
///
/// Thread-safety: touched only by the thread that runs the chain.
class promise_base {
 public:
  promise_base(const promise_base&) = delete;
  promise_base& operator=(const promise_base&) = delete;

  [[nodiscard]] heddle::agent& agent() noexcept { return *agent_; }
  [[nodiscard]] const task_context& context() const noexcept { return *context_; }

  /// The coroutine that awaits this one, or null at the root.
  [[nodiscard]] promise_base* parent() const noexcept { return parent_; }

  /// Ends this coroutine and those that await it as stopped, up to the one that asked for an outcome: returns what to
  /// resume. The frames in between are destroyed by it, innermost first, without being resumed.
  [[nodiscard]] std::coroutine_handle<> unwind() noexcept {
    promise_base* p = this;
    while (!p->outcome_wanted_) p = p->parent_;
    p->stopped_ = true;
    return p->continuation_;
  }

 protected:
  promise_base() noexcept = default;
  ~promise_base() = default;

  // Awaited by `parent`, on its behalf.
  void adopt(std::coroutine_handle<> continuation, promise_base& parent, const task_context& context,
             bool outcome_wanted) noexcept {
    continuation_ = continuation;
    parent_ = &parent;
    agent_ = parent.agent_;
    context_ = &context;
    outcome_wanted_ = outcome_wanted;
  }

  // A chain of its own.
  void be_root(heddle::agent& self, const task_context& context) noexcept {
    agent_ = &self;
    context_ = &context;
  }

  [[nodiscard]] bool was_stopped() const noexcept { return stopped_; }
  [[nodiscard]] std::coroutine_handle<> continuation() const noexcept { return continuation_; }

 private:
  heddle::agent* agent_ = nullptr;
  const task_context* context_ = nullptr;
  promise_base* parent_ = nullptr;
  std::coroutine_handle<> continuation_;
  bool outcome_wanted_ = false;
  bool stopped_ = false;
};

namespace tasks {

template <class T>
class promise;

/// Resumes whoever awaits the finished coroutine.
struct final_awaiter {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> finished) const noexcept {
    return finished.promise().next();
  }
  void await_resume() const noexcept {}
};

template <class T>
class result_of {
 public:
  template <class U = T>
    requires std::constructible_from<T, U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }

 protected:
  T take() { return std::move(*value_); }

 private:
  std::optional<T> value_;
};

template <>
class result_of<void> {
 public:
  void return_void() noexcept {}

 protected:
  void take() noexcept {}
};

template <class T>
class awaiter;
template <class T>
class outcome_awaiter;

template <class T>
class promise final : public promise_base, public result_of<T> {
 public:
  task<T> get_return_object() noexcept;
  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  [[nodiscard]] final_awaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error_ = std::current_exception(); }
  [[nodiscard]] std::coroutine_handle<> next() const noexcept { return continuation(); }

 private:
  friend class awaiter<T>;
  friend class outcome_awaiter<T>;

  T result() {
    if (error_) std::rethrow_exception(std::move(error_));
    return this->take();
  }

  outcome<T> how_it_ended() {
    if (was_stopped()) return stopped_t{};
    if (error_) return std::move(error_);
    try {
      if constexpr (std::is_void_v<T>) {
        return outcome<T>{std::in_place};
      } else {
        return outcome<T>{std::in_place, this->take()};
      }
    } catch (...) {
      return std::current_exception();
    }
  }

  std::exception_ptr error_;
};

}  // namespace tasks

/// A lazy coroutine: nothing runs until it is awaited, or started by scope, when_all, sync_wait or an executor.
///
/// Awaiting runs it on the awaiting task's executor as part of the same agent, by symmetric transfer: no allocation
/// besides its frame, no stack growth. It ends with a value, an exception (rethrown to the awaiter), or stopped.
///
/// - It is lazy: a task that is never awaited never runs. [test: task.nothing_runs_until_it_is_awaited]
/// - An exception reaches the awaiter unchanged. [test: task.an_exception_reaches_the_awaiter]
/// - Stopped unwinds: when the context's stop fires, the innermost wait ends and the frames up to whoever asked for the
///   outcome are destroyed, innermost first, running destructors, without being resumed.
///   [test: task.stopping_destroys_the_frames_innermost_first]
/// - No catch clause sees a stop. [test: task.a_stop_cannot_be_swallowed]
/// - A long chain of tasks that finish without waiting does not grow the stack. [test:
/// task.a_long_chain_does_not_grow_the_stack]
///
/// A capturing lambda that is a coroutine must outlive its task: hand it to with_scope, or pass what it needs as
/// parameters. Thread-safety: one owner at a time.
template <class T>
class [[nodiscard]] task {
  static_assert(!std::is_reference_v<T>, "a task gives a value; let it give a pointer instead of a reference");

 public:
  using promise_type = tasks::promise<T>;
  using value_type = T;

  task(task&& other) noexcept : frame_{std::exchange(other.frame_, nullptr)} {}
  task& operator=(task&& other) noexcept {
    if (this != &other) {
      if (frame_) frame_.destroy();
      frame_ = std::exchange(other.frame_, nullptr);
    }
    return *this;
  }
  ~task() {
    if (frame_) frame_.destroy();
  }

  [[nodiscard]] bool valid() const noexcept { return static_cast<bool>(frame_); }

  /// Runs it to its end. May be awaited once.
  tasks::awaiter<T> operator co_await() && noexcept;

 private:
  friend class tasks::promise<T>;
  friend class tasks::awaiter<T>;
  friend class tasks::outcome_awaiter<T>;
  explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_{frame} {}

  std::coroutine_handle<promise_type> frame_;
};

namespace tasks {

template <class T>
task<T> promise<T>::get_return_object() noexcept {
  return task<T>{std::coroutine_handle<promise>::from_promise(*this)};
}

template <class T>
class [[nodiscard]] awaiter {
 public:
  explicit awaiter(task<T>&& awaited) noexcept : task_{std::move(awaited)} {}

  [[nodiscard]] bool await_ready() const noexcept {
    if (!task_.frame_) fatal("a task was awaited that has been moved from or awaited before");
    return false;
  }
  template <std::derived_from<promise_base> Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) noexcept {
    task_.frame_.promise().adopt(parent, parent.promise(), parent.promise().context(), false);
    return task_.frame_;
  }
  T await_resume() {
    const task<T> finished = std::move(task_);  // its frame goes with the full expression at the latest
    return finished.frame_.promise().result();
  }

 private:
  task<T> task_;
};

template <class T>
class [[nodiscard]] outcome_awaiter {
 public:
  outcome_awaiter(task<T>&& awaited, const task_context* context) noexcept
      : task_{std::move(awaited)}, context_{context} {}

  [[nodiscard]] bool await_ready() const noexcept {
    if (!task_.frame_) fatal("a task was awaited that has been moved from or awaited before");
    return false;
  }
  template <std::derived_from<promise_base> Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) noexcept {
    const task_context& context = context_ != nullptr ? *context_ : parent.promise().context();
    task_.frame_.promise().adopt(parent, parent.promise(), context, true);
    return task_.frame_;
  }
  outcome<T> await_resume() noexcept {
    const task<T> finished = std::move(task_);
    return finished.frame_.promise().how_it_ended();
  }

 private:
  task<T> task_;
  const task_context* context_;
};

}  // namespace tasks

template <class T>
tasks::awaiter<T> task<T>::operator co_await() && noexcept {
  return tasks::awaiter<T>{std::move(*this)};
}

/// Awaits a task and gives its outcome: the place where a stop ends.
/// @param context what the task is to inherit instead of the awaiting task's context; must outlive it.
template <class T>
tasks::outcome_awaiter<T> as_outcome(task<T> awaited, const task_context* context = nullptr) noexcept {
  return {std::move(awaited), context};
}

}  // namespace heddle
