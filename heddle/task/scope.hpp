#pragma once

#include <heddle/park/alarm.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/task/root.hpp>
#include <heddle/task/task.hpp>
#include <heddle/task/this_task.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <source_location>
#include <stop_token>
#include <utility>
#include <vector>

namespace heddle {

/// What a scope does about its children's outcomes.
enum class scope_policy : std::uint8_t {
  fail_fast,      ///< the first failure stops the rest; it is rethrown when all have ended
  collect_all,    ///< nobody is stopped; all failures are kept and thrown together
  first_success,  ///< the first child that succeeds stops the rest; failures are thrown together if none does
};

/// All the failures of a scope.
class scope_errors final : public std::exception {
 public:
  explicit scope_errors(std::vector<std::exception_ptr> errors) noexcept;
  [[nodiscard]] const char* what() const noexcept override;
  [[nodiscard]] const std::vector<std::exception_ptr>& errors() const noexcept { return errors_; }

 private:
  std::vector<std::exception_ptr> errors_;
};

/// A task_context of one's own inside another: stopped when the outer one is, when its deadline comes, or by hand.
class nested_context {
 public:
  /// @param until the nested context is stopped then; what runs in it sees this or the outer deadline, the earlier.
  explicit nested_context(const task_context& outer, deadline until = {});
  nested_context(const nested_context&) = delete;
  nested_context& operator=(const nested_context&) = delete;
  ~nested_context() = default;

  [[nodiscard]] const task_context& context() const noexcept { return context_; }
  void stop() noexcept { source_.request_stop(); }

  /// Whether its own deadline stopped it, rather than the outer context or stop().
  [[nodiscard]] bool expired() const noexcept { return expired_.load(std::memory_order_acquire); }

 private:
  struct pass_on {
    std::stop_source source;
    void operator()() noexcept { source.request_stop(); }
  };

  std::stop_source source_;
  task_context context_;
  std::atomic<bool> expired_{false};
  std::optional<std::stop_callback<pass_on>> outer_watch_;
  park::alarm alarm_;
};

class scope;

/// Opens a scope, runs `body(scope)` in it, and ends when the body and all children have ended.
///
///     co_await with_scope([&](scope& s) -> task<void> {
///       s.spawn(fetch(1));
///       s.spawn(fetch(2));
///       co_return;
///     });
///
/// The body may capture: it is kept until the end. Its own locals are not: they go when it returns, so no child may refer
/// to them. What the body throws counts as a failure like a child's.
/// - Children never outlive it, whatever ends the body. [test: scope.children_never_outlive_it]
/// - fail_fast: the first failure stops the others and is rethrown. [test: scope.fail_fast_stops_the_others_and_rethrows]
/// - collect_all keeps every error. [test: scope.collect_all_keeps_every_error]
/// - first_success stops the others when one has succeeded. [test: scope.first_success_stops_the_others]
/// - A stop of the opener's context stops body and children, waits for them, then unwinds.
///   [test: scope.a_stop_reaches_the_children_and_then_unwinds]
template <std::invocable<scope&> Body>
task<void> with_scope(Body body, scope_policy policy = scope_policy::fail_fast);

/// Where tasks run concurrently and end together: children never outlive it.
///
/// Made by with_scope only, so that no path, not even a stop or an exception, leaves it before its children have ended.
/// Children run on the executor of the task that opened the scope, each as an agent of its own, and inherit its
/// context (stop, deadline and task-locals) and, if they are given none, its name.
/// - A child inherits all of it. [test: scope.a_child_inherits_deadline_stop_name_and_locals]
///
/// Cost of a child: its frame and one record of about 100 bytes, both from the thread's pool; no lock; two atomic counts.
/// Thread-safety: spawn() and stop() from any thread while the body or a child runs.
class scope {
 public:
  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;
  ~scope();

  /// Starts a child; it runs up to its first wait when the executor gets to it. A child of a stopped scope still
  /// starts, and ends at its first wait. Its value is dropped.
  /// @param name static text for the inspector; null: the opener's.
  /// @throws std::bad_alloc when there is no memory; then the child never began, and the scope goes on.
  /// - Children run concurrently on the opener's executor. [test: scope.children_run_concurrently]
  template <class T>
  void spawn(task<T> child, const char* name = nullptr) {
    spawn_on(executor_, std::move(child), name);
  }

  /// As spawn, on another executor.
  /// - The child runs on that executor. [test: scope.a_child_can_run_on_another_executor]
  template <class T>
  void spawn_on(executor& where, task<T> child, const char* name = nullptr) {
    if (!child.valid()) fatal("a task was spawned that has been moved from or awaited before");
    tasks::promise<T>& first = child.promise();
    start(where, std::move(child).release(), first, name);
  }

  /// Stops the children and the body.
  void stop() noexcept { nested_.stop(); }

  /// What the children inherit.
  [[nodiscard]] const task_context& context() const noexcept { return nested_.context(); }

  /// How many children have not ended.
  [[nodiscard]] std::size_t running() const noexcept;

 private:
  template <std::invocable<scope&> Body>
  friend task<void> with_scope(Body body, scope_policy policy);

  class join_awaiter;
  class child;
  struct failure {
    std::exception_ptr error;
    failure* next = nullptr;
    child* of = nullptr;  // null: the body's
  };

  scope(const agent& opener, const task_context& outer, scope_policy policy)
      : executor_{*opener.runs_on()}, name_{opener.name()}, policy_{policy}, nested_{outer} {}

  void start(executor& where, std::coroutine_handle<> frame, promise_base& first, const char* name);
  void child_ended(bool succeeded, failure* failed) noexcept;
  void last_has_ended() noexcept;
  void note(bool succeeded, failure* failed) noexcept;
  void body_failed(std::exception_ptr error) noexcept;
  [[nodiscard]] join_awaiter join(std::source_location site = std::source_location::current()) noexcept;
  void throw_what_failed();

  static constexpr std::size_t body_counts = std::size_t{1} << 62U;

  executor& executor_;
  const char* name_;
  scope_policy policy_;
  nested_context nested_;
  std::atomic<std::size_t> running_{body_counts};  // children that have not ended; and the body until it joins
  park::queue joiner_;                             // the task in join(); its lock guards the rest
  bool all_ended_ = false;                         // under joiner_'s lock
  bool succeeded_ = false;                         // under joiner_'s lock
  failure* failures_ = nullptr;                    // under joiner_'s lock; the last one first
  failure body_failure_;                           // for the body
};

/// What join() returns: waits for the last child, whatever is stopped.
class [[nodiscard]] scope::join_awaiter final : public park::task_wait {
 public:
  explicit join_awaiter(scope& joined, std::source_location site) noexcept
      : task_wait{park::resource::of(resource_kind::join, &joined, "scope"), {}, {}, site}, scope_{joined} {
    ignore_context();
  }
  void await_resume() const noexcept {}

 private:
  [[nodiscard]] bool ready() noexcept override {
    return scope_.running_.fetch_sub(body_counts, std::memory_order_acq_rel) == body_counts;
  }
  [[nodiscard]] bool enqueue() noexcept override;
  [[nodiscard]] step claimed(park::phase) noexcept override { return step::resume; }
  void refused(park::phase) noexcept override {}

  scope& scope_;
};

template <std::invocable<scope&> Body>
task<void> with_scope(Body body, scope_policy policy) {
  const task_context& outer = co_await this_task::context();
  scope opened{current_agent(), outer, policy};
  outcome<void> own = co_await as_outcome(std::invoke(body, opened), &opened.context());
  if (!own.has_value() && !own.is_stopped()) opened.body_failed(own.error());
  if (own.is_stopped()) opened.stop();
  co_await opened.join();
  if (outer.stop.stop_requested()) co_await this_task::end_as_stopped();
  opened.throw_what_failed();
  const bool won = policy == scope_policy::first_success && opened.succeeded_;
  if (own.is_stopped() && !won) co_await this_task::end_as_stopped();
}

}  // namespace heddle
