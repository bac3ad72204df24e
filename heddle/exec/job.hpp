#pragma once

#include <heddle/exec/job_memory.hpp>
#include <heddle/park/executor.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/task/future.hpp>

#include <atomic>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace heddle {

class thread_pool;

/// How soon a job is to run, compared with others of its pool. Jobs age: see thread_pool.
enum class priority : std::uint8_t { high, normal, low };

/// What the future of a job throws that a thread_pool did not run.
class job_refused final : public std::runtime_error {
 public:
  enum class reason : std::uint8_t {
    full,       ///< the queue was full, and the pool rejects then
    discarded,  ///< it was the oldest in a full queue
    abandoned,  ///< thread_pool::abandon() was called before its turn came
    closed,     ///< thread_pool::close() had been called
    cancelled,  ///< its future was cancelled before its turn came
  };
  explicit job_refused(reason why);
  [[nodiscard]] reason why() const noexcept { return why_; }

 private:
  reason why_;
};

/// What a thread_pool queues; made by its members.
namespace pools {

/// A work item that knows since when it is queued and can be refused. Exactly one of call() and refuse() is called,
/// once; afterwards nobody but the job itself touches it.
class queued_job : public work_item {
 public:
  queued_job(const queued_job&) = delete;
  queued_job& operator=(const queued_job&) = delete;

  virtual void call() noexcept = 0;
  virtual void refuse(job_refused::reason why) noexcept = 0;

  /// Whether the caller is the one that may call or refuse it.
  [[nodiscard]] virtual bool begin() noexcept { return true; }

  /// Called instead of call() and refuse() when somebody else has begun it.
  virtual void let_go() noexcept {}

  thread_pool* home = nullptr;  ///< set when it is queued
  std::int64_t queued_ns = 0;   ///< likewise; 0: its wait is not measured
  std::uint64_t due = 0;        ///< for the list in which it stands
  priority rank = priority::normal;

 protected:
  queued_job() noexcept = default;
  ~queued_job() = default;
};

/// Whether the calling thread is a worker of `pool`.
[[nodiscard]] bool works_for(const thread_pool* pool) noexcept;

/// Runs a job of the calling worker's pool in the place of a worker that has not come to it yet.
void run_in_place(queued_job& job) noexcept;

/// Hands what a posted function threw to the handler of the calling worker's pool.
void report_uncaught(std::exception_ptr error) noexcept;

/// A submitted function with its arguments, and the state of its future.
template <class Fn, class... Args>
class job final : public futures::state<std::invoke_result_t<Fn, Args...>>, public queued_job, public in_job_memory {
  using result = std::invoke_result_t<Fn, Args...>;
  using state = futures::state<result>;

 public:
  template <class F, class... A>
  explicit job(F&& fn, A&&... args) : what_{std::in_place, std::forward<F>(fn), std::forward<A>(args)...} {
    this->own();  // the pool's share, besides the future's
  }

  void call() noexcept override {
    this->comes_from_here();
    std::exception_ptr thrown;
    try {
      if constexpr (std::is_void_v<result>) {
        invoke();
      } else {
        this->keep(invoke());
      }
    } catch (...) {
      thrown = std::current_exception();
    }
    what_.reset();
    if (thrown) {
      this->answer_with(std::move(thrown));
    } else {
      this->answered();
    }
    this->disown();
  }

  void refuse(job_refused::reason why) noexcept override {
    what_.reset();
    this->answer_with(std::make_exception_ptr(job_refused{why}));
    this->disown();
  }

  [[nodiscard]] bool begin() noexcept override { return !begun_.exchange(true, std::memory_order_acq_rel); }
  void let_go() noexcept override { this->disown(); }

 private:
  result invoke() {
    return std::apply([](auto&&... parts) -> result { return std::invoke(std::move(parts)...); }, std::move(*what_));
  }

  void help() noexcept override {
    if (begun_.load(std::memory_order_acquire) || !works_for(home) || !begin()) return;
    this->own();  // the worker that comes to it later lets go of the first share
    run_in_place(*this);
  }

  void withdraw() noexcept override {
    if (begun_.load(std::memory_order_acquire) || !begin()) return;
    this->own();  // as in help()
    refuse(job_refused::reason::cancelled);
  }

  std::optional<std::tuple<Fn, Args...>> what_;  // belongs to the one who has begun it
  std::atomic<bool> begun_{false};
};

/// A function whose end nobody waits for.
template <class Fn>
class posted_function final : public queued_job, public in_job_memory {
 public:
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, posted_function>)
  explicit posted_function(F&& fn) : fn_{std::forward<F>(fn)} {}

  void call() noexcept override {
    try {
      std::invoke(std::move(fn_));
    } catch (...) {
      report_uncaught(std::current_exception());
    }
    delete this;
  }
  void refuse(job_refused::reason) noexcept override { delete this; }

 private:
  ~posted_function() = default;
  Fn fn_;
};

/// What thread_pool::schedule() returns.
class [[nodiscard]] schedule_awaiter final : private work_item {
 public:
  explicit schedule_awaiter(executor& where) noexcept : where_{where} {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <agent_promise Promise>
  void await_suspend(std::coroutine_handle<Promise> self) noexcept {
    handle_ = self;
    agent_ = &self.promise().agent();
    agent_->move_to(&where_);
    run = [](work_item* item) noexcept {
      auto* const me = static_cast<schedule_awaiter*>(item);
      const agent_scope scope{*me->agent_};
      me->handle_.resume();
    };
    where_.post(*this);
  }
  void await_resume() const noexcept {}

 private:
  executor& where_;
  agent* agent_ = nullptr;
  std::coroutine_handle<> handle_;
};

/// A task's wait for a function that a pool runs, without the function.
class run_wait : public park::task_wait {
 public:
  template <agent_promise Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    context_ = &handle.promise().context();
    // From the moment the job is queued the frame must stay, so the worker looks at the stop instead.
    if (!context_->stop.stop_requested()) ignore_context();
    return task_wait::await_suspend(handle);
  }

 protected:
  run_wait(thread_pool& pool, std::source_location site) noexcept;
  ~run_wait() = default;

  [[nodiscard]] bool ready() noexcept override { return false; }
  [[nodiscard]] bool enqueue() noexcept override;
  [[nodiscard]] step claimed(park::phase result) noexcept override;
  void refused(park::phase) noexcept override {}

  /// Runs the function and keeps what it returned or threw.
  virtual void call() noexcept = 0;

  [[nodiscard]] const std::exception_ptr& error() const noexcept { return error_; }
  void fail(std::exception_ptr error) noexcept { error_ = std::move(error); }

 private:
  struct item final : queued_job {
    explicit item(run_wait& waits) noexcept : owner{&waits} {}
    void call() noexcept override;
    void refuse(job_refused::reason why) noexcept override;
    run_wait* owner;
  };
  void finish() noexcept;

  thread_pool& pool_;
  const task_context* context_ = nullptr;
  item item_{*this};
  std::exception_ptr error_;
  bool skipped_ = false;
  park::queue waiting_;  // the task
  bool done_ = false;    // under waiting_'s lock
};

/// What thread_pool::run() returns.
template <class Fn>
class [[nodiscard]] run_awaiter final : public run_wait {
  using result = std::invoke_result_t<Fn>;
  static_assert(!std::is_reference_v<result>, "run() carries values; return a pointer or std::reference_wrapper");
  using stored = std::conditional_t<std::is_void_v<result>, std::monostate, result>;

 public:
  run_awaiter(thread_pool& pool, Fn&& fn, std::source_location site) : run_wait{pool, site}, fn_{std::move(fn)} {}

  result await_resume() {
    if (error()) std::rethrow_exception(error());
    if constexpr (!std::is_void_v<result>) return std::move(*value_);
  }

 private:
  void call() noexcept override {
    try {
      if constexpr (std::is_void_v<result>) {
        std::invoke(std::move(fn_));
      } else {
        value_.emplace(std::invoke(std::move(fn_)));
      }
    } catch (...) {
      fail(std::current_exception());
    }
  }

  Fn fn_;
  std::optional<stored> value_;
};

}  // namespace pools
}  // namespace heddle
