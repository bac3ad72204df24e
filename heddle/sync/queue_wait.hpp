#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/park/wait.hpp>

#include <expected>
#include <optional>
#include <source_location>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace heddle::sync {

/// Asked under the lock of a queue: true when there is nothing to wait for, and then it may have taken what is there;
/// false when it has noted, where the primitive needs that, that somebody waits.
struct look {
  bool (*ask)(void* object) noexcept;
  void* object;
};

/// Blocks the calling thread in `queue`: until a look says that there is nothing to wait for, until somebody grants the
/// wait, or until deadline or stop. It looks before it enters, and again whenever it is woken; it keeps its place by age
/// when it finds nothing. A granted one returns without touching the queue again. What could be had without waiting
/// should have been tried before: with a deadline that has passed it does not look.
[[nodiscard]] std::expected<void, wait_error> wait_in(park::queue& queue, look ready, const park::resource& what,
                                                      deadline until, const std::stop_token& stop,
                                                      std::source_location site) noexcept;

/// A task's wait in a queue, with the same rules as wait_in: what the awaiters of event, latch, barrier, once and
/// wait_queue share.
/// - One that is woken in vain keeps its place. [test: wait_queue.one_that_was_woken_in_vain_keeps_its_place]
/// - One that gives up leaves nothing behind. [test: wait_queue.one_that_gives_up_leaves_nothing_behind]
class queue_wait : public park::task_wait {
 protected:
  ~queue_wait() = default;
  queue_wait(park::queue& queue, const park::resource& what, deadline until, std::stop_token stop,
             std::source_location site) noexcept
      : task_wait{what, until, std::move(stop), site}, queue_{queue} {}

  /// See sync::look; called under the queue's lock.
  [[nodiscard]] virtual bool look() noexcept = 0;

  [[nodiscard]] bool enqueue() noexcept override;
  [[nodiscard]] step claimed(park::phase result) noexcept override;
  void refused(park::phase result) noexcept override { error_ = park::error_of(result); }

  /// Why it gave up; empty when it did not.
  [[nodiscard]] std::optional<wait_error> error() const noexcept { return error_; }

 private:
  park::queue& queue_;
  std::optional<wait_error> error_;
};

/// Awaits until `Look` says that there is nothing to wait for. `look.at_once()` is asked first, without the queue's lock;
/// then `look.under_lock()`, see sync::look. Unless `Value` is void, `look.value()` is what the task gets.
template <class Look, class Value>
class look_awaiter : public queue_wait {
 public:
  look_awaiter(Look how, park::queue& queue, const park::resource& what, deadline until, std::stop_token stop,
               std::source_location site) noexcept
      : queue_wait{queue, what, until, std::move(stop), site}, look_{std::move(how)} {}

 protected:
  ~look_awaiter() = default;
  [[nodiscard]] Value value() noexcept {
    if constexpr (!std::is_void_v<Value>) return look_.value();
  }

 private:
  [[nodiscard]] bool ready() noexcept override { return look_.at_once(); }
  [[nodiscard]] bool look() noexcept override { return look_.under_lock(); }

  Look look_;
};

/// Awaits `Value`.
template <class Look, class Value = void>
class [[nodiscard]] queue_awaiter final : public look_awaiter<Look, Value> {
 public:
  using look_awaiter<Look, Value>::look_awaiter;

  /// Called on resumption: it has come.
  Value await_resume() noexcept { return this->value(); }
};

/// Awaits std::expected<Value, wait_error>.
template <class Look, class Value = void>
class [[nodiscard]] queue_awaiter_until final : public look_awaiter<Look, Value> {
 public:
  using look_awaiter<Look, Value>::look_awaiter;

  /// Called on resumption: it has come, or the error says what ended the wait.
  std::expected<Value, wait_error> await_resume() noexcept {
    if (this->error()) return std::unexpected{*this->error()};
    if constexpr (std::is_void_v<Value>) {
      return {};
    } else {
      return this->value();
    }
  }
};

}  // namespace heddle::sync
