#pragma once

#include <heddle/sys/coroutines.hpp>
//
#include <heddle/park/wait.hpp>
#include <heddle/sync/lock_all.hpp>

#include <array>
#include <exception>
#include <expected>
#include <optional>
#include <source_location>
#include <span>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace heddle {
namespace sync {

/// A coroutine that runs as a part of the task that awaits it: same agent, same context. Awaited once.
class [[nodiscard]] steps {
 public:
  class promise_type : public park::async_frame {
   public:
    [[nodiscard]] heddle::agent& agent() noexcept { return *agent_; }
    [[nodiscard]] const task_context& context() const noexcept { return *context_; }
    /// The task ends as stopped; this frame is destroyed with the one that awaits it.
    [[nodiscard]] std::coroutine_handle<> unwind() noexcept { return unwind_(continuation_); }

    steps get_return_object() noexcept { return steps{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    [[nodiscard]] auto final_suspend() const noexcept {
      struct resume_awaiting {
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> done) const noexcept {
          return done.promise().continuation_;
        }
        void await_resume() const noexcept {}
      };
      return resume_awaiting{};
    }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { error_ = std::current_exception(); }

   private:
    friend class steps;
    heddle::agent* agent_ = nullptr;
    const task_context* context_ = nullptr;
    std::coroutine_handle<> continuation_;
    std::coroutine_handle<> (*unwind_)(std::coroutine_handle<>) noexcept = nullptr;
    std::exception_ptr error_;
  };

  steps(steps&& other) noexcept : frame_{std::exchange(other.frame_, nullptr)} {}
  steps& operator=(steps&&) = delete;
  ~steps() {
    if (frame_) frame_.destroy();
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <agent_promise Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    promise_type& own = frame_.promise();
    if constexpr (std::derived_from<Promise, park::async_frame>) own.awaited_by = &awaiting.promise();
    own.agent_ = &awaiting.promise().agent();
    own.context_ = &awaiting.promise().context();
    own.continuation_ = awaiting;
    own.unwind_ = [](std::coroutine_handle<> h) noexcept {
      return std::coroutine_handle<Promise>::from_address(h.address()).promise().unwind();
    };
    return frame_;
  }
  void await_resume() const {
    if (frame_.promise().error_) std::rethrow_exception(frame_.promise().error_);
  }

 private:
  explicit steps(std::coroutine_handle<promise_type> frame) noexcept : frame_{frame} {}
  std::coroutine_handle<promise_type> frame_;
};

/// What awaiting one of the locks means. The lock is held afterwards, or `error` says why not.
struct awaitable_operations {
  steps (*async_lock)(void*, std::source_location);
  steps (*async_lock_until)(void*, deadline, std::stop_token, std::source_location, std::optional<wait_error>& error);
};

template <class Lock, bool Shared>
struct awaitable_operations_of {
  static Lock& of(void* object) noexcept { return *static_cast<Lock*>(object); }
  static steps async_lock(void* object, std::source_location site) {
    if constexpr (Shared) {
      (co_await of(object).async_lock_shared(site)).release();
    } else {
      (co_await of(object).async_lock(site)).release();
    }
  }
  static steps async_lock_until(void* object, deadline until, std::stop_token stop, std::source_location site,
                                std::optional<wait_error>& error) {
    if constexpr (Shared) {
      auto got = co_await of(object).async_lock_shared_until(until, std::move(stop), site);
      if (got)
        got->release();
      else
        error = got.error();
    } else {
      auto got = co_await of(object).async_lock_until(until, std::move(stop), site);
      if (got)
        got->release();
      else
        error = got.error();
    }
  }
  static constexpr awaitable_operations table{&async_lock, &async_lock_until};
};

template <class Lock, bool Shared>
inline constexpr lock_operations operations_and_awaitable = [] {
  lock_operations both = operations_of<Lock, Shared>::table;
  both.awaitable = &awaitable_operations_of<Lock, Shared>::table;
  return both;
}();

template <class Argument>
struct awaitable_argument {
  static constexpr const lock_operations& operations = operations_and_awaitable<Argument, false>;
  static constexpr bool valid = requires(Argument& l) { l.async_lock(std::source_location::current()); };
};
template <class Lock>
struct awaitable_argument<shared_access<Lock>> {
  static constexpr const lock_operations& operations = operations_and_awaitable<Lock, true>;
  static constexpr bool valid = requires(Lock& l) { l.async_lock_shared(std::source_location::current()); };
};

/// A lock that a task can await, or shared() of one.
template <class Argument>
concept awaitable_lock_or_share =
    lock_or_share<Argument> && awaitable_argument<std::remove_reference_t<Argument>>::valid;

template <class Argument>
lock_handle awaitable_handle_of(Argument& argument) noexcept {
  return {lock_argument<Argument>::object(argument), &awaitable_argument<Argument>::operations};
}

// The algorithm, in async_lock_all.cpp. `until` is null for those who cannot give up; else `error` says why they did.
steps await_all(std::span<const lock_handle> locks, const deadline* until, std::stop_token stop,
                std::source_location site, std::optional<wait_error>& error);

/// Takes all in several steps: what the two awaiters below share.
class lock_all_steps {
 protected:
  lock_all_steps(deadline until, bool can_give_up, std::stop_token stop, std::source_location site) noexcept
      : until_{until}, can_give_up_{can_give_up}, stop_{std::move(stop)}, site_{site} {}
  lock_all_steps(const lock_all_steps&) = delete;
  lock_all_steps& operator=(const lock_all_steps&) = delete;
  ~lock_all_steps() = default;

  template <class Promise>
  std::coroutine_handle<> begin(std::span<const lock_handle> locks, std::coroutine_handle<Promise> self) {
    steps_.emplace(await_all(locks, can_give_up_ ? &until_ : nullptr, std::move(stop_), site_, error_));
    return steps_->await_suspend(self);
  }
  [[nodiscard]] bool take_now(std::span<lock_handle> locks) const;
  void end(std::span<const lock_handle> locks, const void* taken_at) const;

  std::optional<wait_error> error_;

 private:
  deadline until_;
  bool can_give_up_;
  std::stop_token stop_;
  std::source_location site_;
  std::optional<steps> steps_;
};

}  // namespace sync

/// For tasks: `const auto held = co_await async_lock_all(a, b, shared(c));` awaits the lock_all, for heddle's locks that
/// can be awaited. A task that is stopped meanwhile unwinds and holds none of them.
///
/// - Threads and tasks that take the same locks never deadlock. [test: async_lock_all.threads_and_tasks_in_any_order]
/// - A stopped task holds none and leaves nothing behind. [test: async_lock_all.a_stopped_task_holds_none]
/// - A lock that cannot be awaited is refused. [test: compile_fail.awaiting_all_with_a_lock_that_cannot_be_awaited]
///
/// Fairness, cost and outcomes: as lock_all; a frame is allocated when not all are free at once.
template <class... Locks>
class [[nodiscard]] async_lock_all : private sync::lock_all_steps {
 public:
  explicit async_lock_all(typename sync::lock_argument<Locks>::type... locks,
                          std::source_location site = std::source_location::current()) noexcept
      : lock_all_steps{{}, false, {}, site}, locks_{sync::awaitable_handle_of(locks)...} {}

  [[nodiscard]] bool await_ready() { return take_now(locks_); }
  template <agent_promise Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) {
    return begin(locks_, self);
  }
  [[gnu::noinline]] lock_all<Locks...> await_resume() {
    end(locks_, __builtin_return_address(0));
    return lock_all<Locks...>{std::in_place, locks_};
  }

 private:
  typename lock_all<Locks...>::handles locks_;
};

template <sync::awaitable_lock_or_share... Locks>
async_lock_all(Locks&&...) -> async_lock_all<std::remove_reference_t<Locks>...>;

/// What async_lock_all_until() returns: awaits std::expected<lock_all<...>, wait_error>.
template <class... Locks>
class [[nodiscard]] async_lock_all_until_awaiter : private sync::lock_all_steps {
 public:
  async_lock_all_until_awaiter(deadline until, const sync::stop_at& stop,
                               const typename lock_all<Locks...>::handles& locks) noexcept
      : lock_all_steps{until, true, stop.stop, stop.site}, locks_{locks} {}

  [[nodiscard]] bool await_ready() { return take_now(locks_); }
  template <agent_promise Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) {
    return begin(locks_, self);
  }
  [[gnu::noinline]] std::expected<lock_all<Locks...>, wait_error> await_resume() {
    if (error_) return std::unexpected{*error_};
    end(locks_, __builtin_return_address(0));
    return std::expected<lock_all<Locks...>, wait_error>{std::in_place, std::in_place, locks_};
  }

 private:
  typename lock_all<Locks...>::handles locks_;
};

/// For tasks: as lock_all_until.
/// - A deadline ends it, and a stop. [test: async_lock_all.one_that_gives_up_holds_none]
template <sync::awaitable_lock_or_share... Locks>
[[nodiscard]] async_lock_all_until_awaiter<std::remove_reference_t<Locks>...> async_lock_all_until(
    deadline until, const sync::stop_at& stop, Locks&&... locks) noexcept {
  return {until, stop, {sync::awaitable_handle_of(locks)...}};
}

}  // namespace heddle
