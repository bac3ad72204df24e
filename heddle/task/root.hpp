#pragma once

#include <heddle/task/frame_memory.hpp>
#include <heddle/task/task.hpp>

#include <utility>

namespace heddle::tasks {

/// A chain that calls `done(outcome)` when its frames are gone and its agent's slot is free. `done` runs on the
/// executor's thread, as the thread's own agent, and is the last thing that happens.
template <class T, class Done>
class reporting_chain final : public chain {
 public:
  reporting_chain(task<T>&& body, Done&& done, executor& runs_on, task_context&& context, const char* name,
                  const void* awaited_by) noexcept
      : chain{runs_on, name, awaited_by}, context_{std::move(context)}, body_{std::move(body)}, done_{std::move(done)} {
    body_.promise().begins(*this, context_);
    run = [](work_item* item) noexcept { static_cast<reporting_chain*>(item)->start(); };
  }

  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* chain, std::size_t size) noexcept { free_frame(chain, size); }

  void start() noexcept {
    const agent_scope scope{self()};
    body_.frame().resume();
  }

 private:
  void first_has_ended() noexcept override {
    outcome<T> result = body_.promise().how_it_ended();
    {
      const task<T> ended = std::move(body_);
    }
    Done done = std::move(done_);
    self().end();
    delete this;
    const agent_scope scope{thread_agent()};
    done(std::move(result));
  }

  task_context context_;
  task<T> body_;
  Done done_;
};

/// A chain that has been made and not started.
template <class T, class Done>
class [[nodiscard]] root {
 public:
  explicit root(reporting_chain<T, Done>& made) noexcept : made_{made} {}

  /// Posts the chain's start to its executor.
  void post() && noexcept { made_.self().runs_on()->post(made_); }

  /// Runs the chain on this thread, which must be its executor's, until it first suspends.
  void run_here() && noexcept { made_.start(); }

 private:
  reporting_chain<T, Done>& made_;
};

/// Makes a chain; it does nothing until post() or run_here(), one of which must follow.
/// @param name static text for the inspector, or null.
/// @param awaited_by the resource of the wait that this chain's end will end, or null: see agent::is_awaited_by().
/// @throws std::bad_alloc when there is no memory for it; then `body` has been destroyed.
template <class T, class Done>
root<T, Done> make_root(task<T> body, Done done, executor& runs_on, task_context context, const char* name,
                        const void* awaited_by = nullptr) {
  return root<T, Done>{
      *new reporting_chain<T, Done>{std::move(body), std::move(done), runs_on, std::move(context), name, awaited_by}};
}

}  // namespace heddle::tasks
