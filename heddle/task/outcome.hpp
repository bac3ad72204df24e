#pragma once

#include <heddle/base/fatal.hpp>

#include <exception>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

namespace heddle {

/// The outcome of a task that was stopped.
struct stopped_t {};

/// Thrown where a task's third outcome meets a thread, by sync_wait or the future of start_on.
class task_stopped final : public std::runtime_error {
 public:
  task_stopped() : std::runtime_error{"the task was stopped"} {}
};

/// How a task ended: with a value, with an exception, or stopped. Stopped is not an exception, so no catch clause can
/// swallow it; it is seen only by those who ask for the outcome.
/// - The three are told apart. [test: sync_wait.tells_the_three_outcomes_apart]
/// - Asking a stopped one for its value ends the program. [test: task_misuse.asking_a_stopped_outcome_for_its_value_is_fatal]
template <class T>
class [[nodiscard]] outcome {
 public:
  using value_type = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

  outcome(stopped_t) noexcept : state_{std::in_place_index<2>} {}
  outcome(std::exception_ptr error) noexcept : state_{std::in_place_index<1>, std::move(error)} {}
  template <class... Args>
  explicit outcome(std::in_place_t, Args&&... args) : state_{std::in_place_index<0>, std::forward<Args>(args)...} {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  [[nodiscard]] bool is_stopped() const noexcept { return state_.index() == 2; }

  /// The exception, or null.
  [[nodiscard]] std::exception_ptr error() const noexcept {
    return state_.index() == 1 ? *std::get_if<1>(&state_) : nullptr;
  }

  /// The value; rethrows the exception. Fatal when stopped: ask is_stopped() first.
  T value() && {
    if (state_.index() == 1) std::rethrow_exception(std::move(*std::get_if<1>(&state_)));
    if (state_.index() == 2) fatal("the value of a stopped task was asked for; ask is_stopped() first");
    if constexpr (!std::is_void_v<T>) return std::move(*std::get_if<0>(&state_));
  }

 private:
  std::variant<value_type, std::exception_ptr, stopped_t> state_;
};

}  // namespace heddle
