#pragma once

#include <heddle/base/fatal.hpp>
#include <heddle/task/task.hpp>

#include <concepts>
#include <coroutine>
#include <optional>
#include <source_location>
#include <utility>

namespace heddle {

/// A coroutine that gives values one after the other, and may await in between:
///
///     generator<line> lines(socket& from) {
///       while (auto bytes = co_await from.read()) co_yield parse(*bytes);
///     }
///     ...
///     while (auto next = co_await source.next()) use(*next);
///
/// Nothing runs until next() is awaited. Each next() runs it up to its next `co_yield` as a part of the awaiting task: same
/// agent, same context, symmetric transfer both ways.
///
/// - Values come in order, then nothing. [test: generator.gives_its_values_then_nothing]
/// - It may wait between them. [test: generator.may_wait_between_values]
/// - An exception reaches whoever awaits next(), then nothing more comes. [test: generator.an_exception_reaches_the_awaiter]
/// - A stop in it unwinds the awaiting task, too. [test: generator.a_stop_unwinds_it_and_whoever_awaits]
/// - One that is not read to its end may be destroyed between two values; its locals are destroyed then.
///   [test: generator.may_be_left_before_its_end]
///
/// Stopping a task in next() destroys the generator's frame: a value that it was about to give is lost with it. Use a
/// channel where values must outlive their reader. Thread-safety: one owner at a time.
template <class T>
class [[nodiscard]] generator {
 public:
  class promise_type final : public promise_base {
   public:
    generator get_return_object() noexcept {
      return generator{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    [[nodiscard]] tasks::final_awaiter final_suspend() const noexcept { return {}; }
    template <class U>
      requires std::constructible_from<T, U>
    tasks::final_awaiter yield_value(U&& value, std::source_location site = std::source_location::current()) {
      at = site;
      value_.emplace(std::forward<U>(value));
      return {};
    }
    void return_void() const noexcept {}

   private:
    friend class generator;
    std::optional<T> take() {
      rethrow();
      return std::exchange(value_, std::nullopt);
    }
    std::optional<T> value_;
  };

  /// What next() returns.
  class [[nodiscard]] awaiter {
   public:
    explicit awaiter(generator& of) noexcept : of_{of} {}
    void give_way_first() noexcept {
      if (!of_.has_ended()) of_.promise().give_way_first();
    }
    [[nodiscard]] bool await_ready() const noexcept { return of_.has_ended(); }
    template <std::derived_from<promise_base> Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) noexcept {
      return of_.promise().adopt(parent, parent.promise(), parent.promise().context(), of_.frame_, false);
    }
    std::optional<T> await_resume() { return of_.frame_ ? of_.promise().take() : std::nullopt; }

   private:
    generator& of_;
  };

  generator(generator&& other) noexcept : frame_{std::exchange(other.frame_, nullptr)} {}
  generator& operator=(generator&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~generator() {
    if (frame_) frame_.destroy();
  }

  /// Awaits the next value; nothing when there are no more.
  [[nodiscard]] awaiter next() noexcept { return awaiter{*this}; }

 private:
  explicit generator(std::coroutine_handle<promise_type> frame) noexcept : frame_{frame} {}

  [[nodiscard]] bool has_ended() const noexcept { return !frame_ || frame_.done(); }
  [[nodiscard]] promise_type& promise() const noexcept {
    return std::coroutine_handle<promise_type>::from_address(frame_.address()).promise();
  }

  std::coroutine_handle<> frame_;
};

}  // namespace heddle
