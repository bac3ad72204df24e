#pragma once

#include <heddle/park/wait.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sys/compiler.hpp>

#include <concepts>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <source_location>
#include <type_traits>
#include <utility>

namespace heddle {

/// A lock that several can hold to read: shared_mutex is one.
/// - One without is refused. [test: compile_fail.reading_under_a_lock_that_cannot_be_shared]
template <class Lock>
concept shareable_lock = requires(Lock& lock) {
  lock.lock_shared();
  lock.unlock_shared();
};

/// A value that can be reached only while its lock is held.
///
/// Prefer it to a mutex beside a value: what the lock protects is then said by the type, and cannot be forgotten.
/// `with` is the shortest and safest form; `lock` keeps the lock over several statements.
///
/// - Every access holds the lock. [test: guarded.every_access_holds_the_lock]
/// - `with` returns what the function returns, and lets go when it throws. [test: guarded.with_lets_go_when_the_function_throws]
/// - A task gets the same value by async_lock. [test: guarded.threads_and_tasks_share_the_value]
/// - With a lock that can be shared, `read` gives the value to several at once, and only as const.
///   [test: guarded.readers_get_the_value_together, compile_fail.writing_to_what_was_guarded_for_reading]
///
/// A reference that leaves `with`, or outlives the guard, is unprotected: return values, not references.
/// Thread-safety: all members from any thread. Cost: the lock's.
template <class T, class Lock = mutex>
class guarded {
 public:
  /// The locked value: a smart pointer that holds the lock while it lives. Belongs to the agent that locked.
  template <class Value, class Held>
  class [[nodiscard]] basic_guard {
   public:
    basic_guard(Held lock, Value& value) noexcept : lock_{std::move(lock)}, value_{&value} {}
    [[nodiscard]] Value& operator*() const noexcept { return *value_; }
    [[nodiscard]] Value* operator->() const noexcept { return value_; }

   private:
    Held lock_;
    Value* value_;
  };
  using guard = basic_guard<T, std::unique_lock<Lock>>;
  using read_guard = basic_guard<const T, std::shared_lock<Lock>>;

  /// Awaits a guard; what async_lock() and async_read_lock() return.
  template <class Guard, class Awaiter, class Value>
  class [[nodiscard]] basic_lock_awaiter {
   public:
    /// @param wait makes the lock's own awaiter.
    template <std::invocable MakeAwaiter>
    basic_lock_awaiter(MakeAwaiter wait, Value& value) noexcept : inner_{wait()}, value_{value} {}
    void give_way_first() noexcept { inner_.give_way_first(); }
    [[nodiscard]] bool await_ready() noexcept { return inner_.await_ready(); }
    template <agent_promise Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
      return inner_.await_suspend(self);
    }
    Guard await_resume() noexcept { return {inner_.await_resume(), value_}; }

   private:
    Awaiter inner_;
    Value& value_;
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
  auto async_lock(std::source_location site = std::source_location::current()) noexcept {
    return awaiter<guard>(value_, [this, site] { return lock_.async_lock(site); });
  }

  /// Calls `function(value)` with the lock held to read, and returns what it returns; others may read meanwhile.
  template <std::invocable<const T&> Function>
    requires shareable_lock<Lock>
  decltype(auto) read(Function&& function, std::source_location site = std::source_location::current()) const {
    const read_guard held = read_lock(site);
    return std::invoke(std::forward<Function>(function), *held);
  }

  /// The same as `with`, for where both are used.
  template <std::invocable<T&> Function>
    requires shareable_lock<Lock>
  decltype(auto) write(Function&& function, std::source_location site = std::source_location::current()) {
    return with(std::forward<Function>(function), site);
  }

  /// Waits for a share of the lock; the guard gives access to read.
  read_guard read_lock(std::source_location site = std::source_location::current()) const
    requires shareable_lock<Lock>
  {
    lock_shared(site);
    return {std::shared_lock{lock_, std::adopt_lock}, value_};
  }

  /// For tasks: `auto value = co_await shared.async_read_lock();` A stopped task unwinds.
  /// - Tasks read together with threads. [test: guarded.readers_get_the_value_together]
  auto async_read_lock(std::source_location site = std::source_location::current()) const noexcept
    requires shareable_lock<Lock>
  {
    return awaiter<read_guard>(value_, [this, site] { return lock_.async_lock_shared(site); });
  }

 private:
  template <class Guard, class Value, class MakeAwaiter>
  static basic_lock_awaiter<Guard, std::invoke_result_t<MakeAwaiter>, Value> awaiter(Value& value,
                                                                                     MakeAwaiter wait) noexcept {
    return {wait, value};
  }

  void lock_shared(std::source_location site) const HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    lock_.lock_shared(site);
  }

  mutable Lock lock_;  // to read needs no more than const
  T value_;
};

}  // namespace heddle
