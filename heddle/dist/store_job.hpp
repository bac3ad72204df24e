#pragma once

#include <heddle/dist/sql.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/park/wait.hpp>

#include <concepts>
#include <exception>
#include <functional>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>
#include <variant>

namespace heddle::dist {

class finish_awaiter;

/// Something that finishes once: one agent, a thread or a task, waits for it. It may be destroyed as soon as wait() has
/// returned. Not a future: it carries nothing and the wait has no deadline, because whoever waits owns what is worked on.
class finish_line {
 public:
  /// @param name static text for the inspector.
  explicit finish_line(const char* name) noexcept : name_{name} {}
  finish_line(const finish_line&) = delete;
  finish_line& operator=(const finish_line&) = delete;
  ~finish_line() = default;

  /// Lets the waiter go on; the last access to the object.
  void cross() noexcept;

  /// Blocks the calling thread until it is crossed.
  void wait(std::source_location site = std::source_location::current()) noexcept;

  /// For tasks. The stop of the task's context does not end the wait.
  [[nodiscard]] finish_awaiter async_wait(std::source_location site = std::source_location::current()) noexcept;

 private:
  friend class finish_awaiter;
  [[nodiscard]] bool crossed() noexcept;
  [[nodiscard]] park::resource resource() const noexcept;
  // False: crossed already.
  [[nodiscard]] bool enqueue(park::slot& node) noexcept;

  const char* name_;
  park::queue queue_;     // the waiter; its lock guards crossed_
  bool crossed_ = false;  // under queue_'s lock
};

/// What finish_line::async_wait() returns.
class [[nodiscard]] finish_awaiter final : public park::task_wait {
 public:
  finish_awaiter(finish_line& line, std::source_location site) noexcept;
  void await_resume() const noexcept {}

 private:
  [[nodiscard]] bool ready() noexcept override { return line_.crossed(); }
  [[nodiscard]] bool enqueue() noexcept override { return line_.enqueue(node()); }
  [[nodiscard]] step claimed(park::phase) noexcept override { return step::resume; }
  void refused(park::phase) noexcept override {}

  finish_line& line_;
};

/// What a job gives to its caller when its closure returns `Value`: a store_error takes the value's place when the store
/// could not do its part. A closure that itself returns store_result<T> is not wrapped twice.
template <class Value>
struct job_result {
  using type = store_result<Value>;
};
template <class T>
struct job_result<store_result<T>> {
  using type = store_result<T>;
};
template <class Fn, class View>
using job_result_t = job_result<std::invoke_result_t<Fn&, View&>>::type;

/// One closure that a store runs on a connection: what the writer's channel carries. Made by sqlite_store; an
/// application has no need of it.
template <class View>
class store_job {
 public:
  store_job(const store_job&) = delete;
  store_job& operator=(const store_job&) = delete;

  /// Runs the closure. False: what it did is to be undone.
  [[nodiscard]] virtual bool run(View& view) noexcept = 0;

  /// The commit failed, so what the job did is undone or in doubt.
  void fail(store_error error) noexcept { failure_ = std::move(error); }

  /// Called once when all is over; afterwards the job is not touched any more.
  virtual void finished() noexcept { done.cross(); }

  finish_line done{"store job"};

 protected:
  store_job() noexcept = default;
  ~store_job() = default;
  std::optional<store_error> failure_;  // NOLINT: read by the closure's half below
};

/// The job of one closure.
template <class Fn, class View>
class closure_job final : public store_job<View> {
 public:
  using value = std::invoke_result_t<Fn&, View&>;
  using result = job_result_t<Fn, View>;

  explicit closure_job(Fn& fn) noexcept : fn_{fn} {}

  [[nodiscard]] bool run(View& view) noexcept override {
    try {
      if constexpr (std::is_void_v<value>) {
        fn_(view);
        value_.emplace();
        return true;
      } else {
        value_.emplace(fn_(view));
        if constexpr (requires(const value& v) {
                        { v.has_value() } -> std::same_as<bool>;
                        v.error();
                      }) {
          return value_->has_value();
        } else {
          return true;
        }
      }
    } catch (...) {
      thrown_ = std::current_exception();
      return false;
    }
  }

  /// The closure's value, once done; rethrows what it threw.
  [[nodiscard]] result take() {
    if (thrown_) std::rethrow_exception(std::move(thrown_));
    if (this->failure_) return std::unexpected{*std::move(this->failure_)};
    if constexpr (std::is_void_v<value>) {
      return {};
    } else {
      return std::move(*value_);
    }
  }

 private:
  Fn& fn_;
  std::optional<std::conditional_t<std::is_void_v<value>, std::monostate, value>> value_;
  std::exception_ptr thrown_;
};

}  // namespace heddle::dist
