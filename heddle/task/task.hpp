#pragma once

#include <heddle/sys/coroutines.hpp>
//
#include <heddle/base/fatal.hpp>
#include <heddle/park/async_frame.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/task/frame_memory.hpp>
#include <heddle/task/outcome.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace heddle {

template <class T = void>
class task;

namespace tasks {

/// A chain of coroutines that await each other: the agent that they are together. Made by whoever starts one; goes with
/// its first coroutine.
class chain : public work_item {
 public:
  /// @param name static text for the inspector, or null.
  /// @param awaited_by the resource of the wait that this chain's end will end, or null: see agent::is_awaited_by().
  chain(executor& runs_on, const char* name, const void* awaited_by) noexcept
      : self_{agent::kind::task, name, &runs_on} {
    self_.is_awaited_by(awaited_by);
  }
  chain(const chain&) = delete;
  chain& operator=(const chain&) = delete;

  [[nodiscard]] agent& self() noexcept { return self_; }

  /// Lets others of the executor run, then resumes `next_one` of this chain, which does not run meanwhile.
  void resume_later(std::coroutine_handle<> next_one) noexcept;

  /// The first coroutine has ended and is suspended for good: destroys it, then the chain. The last access to the chain.
  virtual void first_has_ended() noexcept = 0;

 protected:
  ~chain() = default;

 private:
  agent self_;
  std::coroutine_handle<> later_;
};

}  // namespace tasks

/// What the promises of heddle's coroutines share: the agent that runs the chain, the context that is handed down, the
/// links of the chain, and the memory of the frames.
///
/// **Memory.** Frames come from a pool of the thread (frame_memory.hpp). When there is no memory for a frame, the call of
/// the coroutine throws std::bad_alloc: nothing has begun, and the arguments are destroyed.
/// - [test: frame_memory.without_memory_for_a_frame_the_call_throws]
///
/// **The end of a chain.** Frames are destroyed one after the other, not one within the other, so the depth of a chain
/// costs no stack, however it ends.
/// - [test: task.a_deep_chain_is_stopped_without_growing_the_stack,
///   task.an_exception_through_a_deep_chain_does_not_grow_the_stack]
///
/// Thread-safety: touched only by the thread that runs the chain.
class promise_base : public park::async_frame {
 public:
  promise_base(const promise_base&) = delete;
  promise_base& operator=(const promise_base&) = delete;

  static void* operator new(std::size_t size) { return tasks::allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { tasks::free_frame(frame, size); }

  [[nodiscard]] heddle::agent& agent() noexcept { return chain_->self(); }
  [[nodiscard]] const task_context& context() const noexcept { return *context_; }

  /// The coroutine that awaits this one, or null for the first one of a chain.
  [[nodiscard]] promise_base* parent() const noexcept {
    return const_cast<promise_base*>(static_cast<const promise_base*>(awaited_by));
  }

  /// Notes where the coroutine awaits, and whether it has awaited so often without waiting that it is others' turn.
  template <class Awaited>
  [[nodiscard]] Awaited&& await_transform(Awaited&& awaited,
                                          std::source_location site = std::source_location::current()) noexcept {
    at = site;
    if constexpr (requires { awaited.give_way_first(); }) {
      if (!agent().may_await_on()) awaited.give_way_first();
    }
    return std::forward<Awaited>(awaited);
  }

  /// Ends this coroutine and those that await it as stopped, up to the one that asked for an outcome: returns what to
  /// resume. The frames in between are destroyed by it, innermost first, without being resumed.
  [[nodiscard]] std::coroutine_handle<> unwind() noexcept {
    promise_base* p = this;
    while (!p->outcome_wanted_) {
      promise_base* const up = p->parent();
      std::exchange(*p->kept_in_, nullptr).destroy();
      p = up;
    }
    p->stopped_ = true;
    return p->next();
  }

  /// What to resume when this coroutine has ended: the one that awaits it. The first one goes with its chain here.
  [[nodiscard]] std::coroutine_handle<> next() noexcept {
    if (awaited_by != nullptr) return continuation_;
    chain_->first_has_ended();
    return std::noop_coroutine();
  }

  void unhandled_exception() noexcept { error_ = std::current_exception(); }

  /// How it ended, without the value.
  [[nodiscard]] bool was_stopped() const noexcept { return stopped_; }
  [[nodiscard]] bool has_value() const noexcept { return !stopped_ && !error_; }
  /// The exception, or null; the coroutine keeps no share of it.
  [[nodiscard]] std::exception_ptr take_error() noexcept { return std::exchange(error_, nullptr); }

  /// It is the first of a chain.
  void begins(tasks::chain& whole, const task_context& context) noexcept {
    chain_ = &whole;
    context_ = &context;
    outcome_wanted_ = true;
  }

  /// It is awaited by `parent`, on its behalf. Returns what to resume: this coroutine.
  /// @param kept_in the handle by which the awaiting coroutine owns this one.
  [[nodiscard]] std::coroutine_handle<> adopt(std::coroutine_handle<> continuation, promise_base& parent,
                                              const task_context& context, std::coroutine_handle<>& kept_in,
                                              bool outcome_wanted) noexcept {
    awaited_by = &parent;
    chain_ = parent.chain_;
    context_ = &context;
    continuation_ = continuation;
    kept_in_ = &kept_in;
    outcome_wanted_ = outcome_wanted;
    if (!gives_way_) return kept_in;
    gives_way_ = false;
    chain_->resume_later(kept_in);
    return std::noop_coroutine();
  }

  /// It is about to be awaited by a task that has awaited so often without waiting that it is others' turn.
  void give_way_first() noexcept { gives_way_ = true; }

 protected:
  promise_base() noexcept = default;
  ~promise_base() = default;

  void rethrow() {
    if (error_) std::rethrow_exception(take_error());
  }

 private:
  tasks::chain* chain_ = nullptr;
  const task_context* context_ = nullptr;
  std::coroutine_handle<> continuation_;  // the awaiting coroutine
  std::coroutine_handle<>* kept_in_ = nullptr;
  std::exception_ptr error_;
  bool outcome_wanted_ = false;
  bool stopped_ = false;
  bool gives_way_ = false;
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

  /// The value; throws the exception. It must not have been stopped.
  T result() {
    this->rethrow();
    return this->take();
  }

  outcome<T> how_it_ended() noexcept {
    if (was_stopped()) return stopped_t{};
    if (!has_value()) return take_error();
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

  void give_way_first() noexcept {
    if (valid()) promise().give_way_first();
  }

  /// Runs it to its end. May be awaited once.
  tasks::awaiter<T> operator co_await() && noexcept;

  /// For those who start chains; it must be valid().
  [[nodiscard]] promise_type& promise() const noexcept {
    return std::coroutine_handle<promise_type>::from_address(frame_.address()).promise();
  }
  [[nodiscard]] std::coroutine_handle<>& frame() noexcept { return frame_; }
  /// Gives the coroutine away.
  [[nodiscard]] std::coroutine_handle<> release() && noexcept { return std::exchange(frame_, nullptr); }

 private:
  friend class tasks::promise<T>;
  explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_{frame} {}

  std::coroutine_handle<> frame_;
};

namespace tasks {

template <class T>
task<T> promise<T>::get_return_object() noexcept {
  return task<T>{std::coroutine_handle<promise>::from_promise(*this)};
}

/// Awaits a task in a context; its exception is thrown, its stop unwinds the awaiting coroutine, too.
template <class T>
class [[nodiscard]] awaiter {
 public:
  /// @param context null: that of the awaiting coroutine.
  explicit awaiter(task<T>&& awaited, const task_context* context = nullptr) noexcept
      : task_{std::move(awaited)}, context_{context} {}

  void give_way_first() noexcept {
    if (task_.valid()) task_.promise().give_way_first();
  }
  [[nodiscard]] bool await_ready() const noexcept {
    if (!task_.valid()) fatal("a task was awaited that has been moved from or awaited before");
    return false;
  }
  template <std::derived_from<promise_base> Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) noexcept {
    const task_context& context = context_ != nullptr ? *context_ : parent.promise().context();
    return task_.promise().adopt(parent, parent.promise(), context, task_.frame(), false);
  }
  T await_resume() {
    const task<T> finished = std::move(task_);  // its frame goes with the full expression at the latest
    return finished.promise().result();
  }

 private:
  task<T> task_;
  const task_context* context_;
};

template <class T>
class [[nodiscard]] outcome_awaiter {
 public:
  outcome_awaiter(task<T>&& awaited, const task_context* context) noexcept
      : task_{std::move(awaited)}, context_{context} {}

  void give_way_first() noexcept {
    if (task_.valid()) task_.promise().give_way_first();
  }
  [[nodiscard]] bool await_ready() const noexcept {
    if (!task_.valid()) fatal("a task was awaited that has been moved from or awaited before");
    return false;
  }
  template <std::derived_from<promise_base> Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) noexcept {
    const task_context& context = context_ != nullptr ? *context_ : parent.promise().context();
    return task_.promise().adopt(parent, parent.promise(), context, task_.frame(), true);
  }
  outcome<T> await_resume() noexcept {
    const task<T> finished = std::move(task_);
    return finished.promise().how_it_ended();
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

/// Awaits a task in another context than the awaiting task's; `context` must outlive it. What it throws and its stop go on
/// to the awaiter as with `co_await` alone.
template <class T>
tasks::awaiter<T> in_context(task<T> awaited, const task_context& context) noexcept {
  return tasks::awaiter<T>{std::move(awaited), &context};
}

/// Awaits a task and gives its outcome: the place where a stop ends.
/// @param context what the task is to inherit instead of the awaiting task's context; must outlive it.
template <class T>
tasks::outcome_awaiter<T> as_outcome(task<T> awaited, const task_context* context = nullptr) noexcept {
  return {std::move(awaited), context};
}

}  // namespace heddle
