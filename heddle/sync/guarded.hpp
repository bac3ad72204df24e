#pragma once

#include <heddle/park/wait.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sys/compiler.hpp>

#include <functional>
#include <source_location>
#include <utility>

namespace heddle {

/// A value that can be reached only while its lock is held.
///
/// Prefer it to a mutex beside a value: what the lock protects is then said by the type, and cannot be forgotten.
/// `with` is the shortest and safest form; `lock` keeps the lock over several statements.
///
/// - Every access holds the lock. [test: guarded.every_access_holds_the_lock]
/// - `with` returns what the function returns, and lets go when it throws. [test: guarded.with_lets_go_when_the_function_throws]
/// - A task gets the same value by async_lock. [test: guarded.threads_and_tasks_share_the_value]
///
/// A reference that leaves `with`, or outlives the guard, is unprotected: return values, not references.
/// Thread-safety: all members from any thread. Cost: the lock's.
template <class T, class Lock = mutex>
class guarded {
 public:
  /// The locked value: a smart pointer that holds the lock while it lives. Belongs to the agent that locked.
  class [[nodiscard]] guard {
   public:
    guard(std::unique_lock<Lock> lock, T& value) noexcept : lock_{std::move(lock)}, value_{&value} {}
    [[nodiscard]] T& operator*() const noexcept { return *value_; }
    [[nodiscard]] T* operator->() const noexcept { return value_; }

   private:
    std::unique_lock<Lock> lock_;
    T* value_;
  };

  /// Awaits `guard`; what async_lock() returns.
  class [[nodiscard]] lock_awaiter {
   public:
    lock_awaiter(guarded& owner, std::source_location site) noexcept
        : inner_{owner.lock_.async_lock(site)}, value_{owner.value_} {}
    [[nodiscard]] bool await_ready() noexcept { return inner_.await_ready(); }
    template <agent_promise Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
      return inner_.await_suspend(self);
    }
    guard await_resume() noexcept { return {inner_.await_resume(), value_}; }

   private:
    decltype(std::declval<Lock&>().async_lock()) inner_;
    T& value_;
  };

  /// The value is made from `args`; the lock is called after this constructor.
  template <class... Args>
    requires std::constructible_from<T, Args...>
  explicit constexpr guarded(std::in_place_t, Args&&... args) : value_(std::forward<Args>(args)...) {}
  /// The lock is called after the place where this is made.
  constexpr explicit guarded(T value = T{}, std::source_location made = std::source_location::current())
      : lock_{made}, value_(std::move(value)) {}
  /// With a name for the lock (a literal).
  constexpr guarded(T value, const char* name) : lock_{name}, value_(std::move(value)) {}

  guarded(const guarded&) = delete;
  guarded& operator=(const guarded&) = delete;
  ~guarded() = default;

  /// Calls `function(value)` with the lock held and returns what it returns.
  template <std::invocable<T&> Function>
  decltype(auto) with(Function&& function, std::source_location site = std::source_location::current()) {
    const guard held = lock(site);
    return std::invoke(std::forward<Function>(function), *held);
  }

  /// Waits for the lock; the guard gives access.
  guard lock(std::source_location site = std::source_location::current())
      HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    lock_.lock(site);
    return {std::unique_lock{lock_, std::adopt_lock}, value_};
  }

  /// For tasks: `auto value = co_await shared.async_lock();` A stopped task unwinds.
  lock_awaiter async_lock(std::source_location site = std::source_location::current()) noexcept {
    return {*this, site};
  }

 private:
  Lock lock_;
  T value_;
};

}  // namespace heddle
