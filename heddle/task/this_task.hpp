#pragma once

#include <heddle/task/task.hpp>

/// What a task can ask of or do to itself; each is awaited: `co_await this_task::yield()`.
namespace heddle::this_task {

/// What context() returns.
class [[nodiscard]] context_awaiter {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <agent_promise Promise>
  bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
    found_ = &self.promise().context();
    return false;
  }
  [[nodiscard]] const task_context& await_resume() const noexcept { return *found_; }

 private:
  const task_context* found_ = nullptr;
};

/// What current_executor() returns.
class [[nodiscard]] executor_awaiter {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <agent_promise Promise>
  bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
    found_ = self.promise().agent().runs_on();
    return false;
  }
  [[nodiscard]] executor& await_resume() const noexcept { return *found_; }

 private:
  executor* found_ = nullptr;
};

/// What end_as_stopped() and check_stop() return.
class [[nodiscard]] stop_awaiter {
 public:
  explicit stop_awaiter(bool always) noexcept : always_{always} {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <agent_promise Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
    if (always_ || self.promise().context().stop.stop_requested()) return self.promise().unwind();
    return self;
  }
  void await_resume() const noexcept {}

 private:
  bool always_;
};

/// Awaits the task's context: its stop token and deadline. Never suspends.
inline context_awaiter context() noexcept { return {}; }

/// Awaits the executor that resumes the task. Never suspends.
inline executor_awaiter current_executor() noexcept { return {}; }

/// Ends the task as stopped. Never returns.
/// - What awaits it unwinds, too. [test: task.a_task_can_end_itself_as_stopped]
inline stop_awaiter end_as_stopped() noexcept { return stop_awaiter{true}; }

/// Ends the task as stopped if its context's stop has fired; else goes on at once. For long computations.
/// - A stopped task goes no further. [test: task.check_stop_ends_a_stopped_task]
inline stop_awaiter check_stop() noexcept { return stop_awaiter{false}; }

/// Goes to the end of an executor's queue.
class [[nodiscard]] repost_awaiter : private work_item {
 public:
  /// @param target where to go on; null: where the task runs already.
  explicit repost_awaiter(executor* target) noexcept : target_{target} {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <agent_promise Promise>
  void await_suspend(std::coroutine_handle<Promise> self) noexcept {
    handle_ = self;
    agent_ = &self.promise().agent();
    if (target_ != nullptr) agent_->move_to(target_);
    run = [](work_item* item) noexcept {
      auto* me = static_cast<repost_awaiter*>(item);
      const agent_scope scope{*me->agent_};
      me->agent_->begin_turn();
      me->handle_.resume();
    };
    agent_->runs_on()->post_last(*this);
  }
  void await_resume() const noexcept {}

 private:
  executor* target_;
  agent* agent_ = nullptr;
  std::coroutine_handle<> handle_;
};

/// Lets others of the same executor run first.
inline repost_awaiter yield() noexcept { return repost_awaiter{nullptr}; }

/// Goes on on another executor: the task runs there from here on.
/// - The task and what it awaits run on the other executor's threads. [test: task.resume_on_moves_the_task]
inline repost_awaiter resume_on(executor& other) noexcept { return repost_awaiter{&other}; }

}  // namespace heddle::this_task
