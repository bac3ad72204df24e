#pragma once

#include <heddle/task/task.hpp>

#include <functional>

namespace heddle::tasks {

/// The first frame of a chain: owns the agent and the context, runs one task to its end, whatever that is, and calls
/// `done(outcome)` when the frame is gone and the agent's slot is free. `done` runs on the executor's thread, as the
/// thread's own agent, and is the last thing that happens.
template <class T, class Done>
class root {
 public:
  class promise_type final : public promise_base, private work_item {
   public:
    promise_type(task<T>&, Done& done, executor& runs_on, const task_context& context, const char* name,
                 const void* awaited_by) noexcept
        : self_{agent::kind::task, name, &runs_on}, context_{context}, done_{std::move(done)} {
      self_.is_awaited_by(awaited_by);
      be_root(self_, context_);
    }

    root get_return_object() noexcept { return root{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }

    [[nodiscard]] auto final_suspend() noexcept {
      struct last {
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
          promise_type& p = self.promise();
          Done done = std::move(p.done_);
          outcome<T> result = std::move(*p.result_);
          p.self_.end();
          self.destroy();
          const agent_scope scope{thread_agent()};
          done(std::move(result));
        }
        void await_resume() const noexcept {}
      };
      return last{};
    }

    void return_value(outcome<T> result) { result_.emplace(std::move(result)); }
    // Only the frame of the task itself can throw, and as_outcome keeps that.
    [[noreturn]] void unhandled_exception() noexcept { fatal("an exception left the root of a task"); }

    void start_by_post() noexcept {
      run = [](work_item* item) noexcept { static_cast<promise_type*>(item)->start_here(); };
      self_.runs_on()->post(*this);
    }

    void start_here() noexcept {
      const agent_scope scope{self_};
      std::coroutine_handle<promise_type>::from_promise(*this).resume();
    }

   private:
    heddle::agent self_;
    task_context context_;
    Done done_;
    std::optional<outcome<T>> result_;
  };

  /// Posts the chain's start to its executor.
  void post() && noexcept { frame_.promise().start_by_post(); }

  /// Runs the chain on this thread, which must be its executor's, until it first suspends.
  void run_here() && noexcept { frame_.promise().start_here(); }

 private:
  explicit root(std::coroutine_handle<promise_type> frame) noexcept : frame_{frame} {}
  std::coroutine_handle<promise_type> frame_;
};

/// Makes a chain; it does nothing until post() or run_here().
/// @param name static text for the inspector, or null.
/// @param awaited_by the resource of the wait that this chain's end will end, or null: see agent::is_awaited_by().
template <class T, class Done>
root<T, Done> make_root(task<T> body, Done, executor&, task_context, const char*,
                        const void* /*awaited_by*/ = nullptr) {
  co_return co_await as_outcome(std::move(body));
}

}  // namespace heddle::tasks
