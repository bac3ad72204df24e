#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/park/wait.hpp>

#include <atomic>
#include <cstdint>
#include <optional>
#include <source_location>
#include <stop_token>
#include <string>
#include <utility>

namespace heddle::dist {

class turn_awaiter;
class turn_pause_awaiter;

/// Whose turn it is to have one lock of a service: first come, first served, handed over by the one who gives it up, so
/// one wake per release. Has no owner: a task may take the turn and the service give it up when the lease is lost.
class lock_turn {
 public:
  explicit lock_turn(std::string name) noexcept : name_{std::move(name)} {}
  lock_turn(const lock_turn&) = delete;
  lock_turn& operator=(const lock_turn&) = delete;
  ~lock_turn() = default;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  /// Takes the turn if it is free.
  [[nodiscard]] bool try_take() noexcept;

  /// Waits for the turn. Empty: taken.
  [[nodiscard]] std::optional<wait_error> take(deadline until, const std::stop_token& stop,
                                               std::source_location site) noexcept;
  [[nodiscard]] turn_awaiter async_take(deadline until, std::stop_token stop, std::source_location site) noexcept;

  /// Whoever has the turn waits for another process's lease: until the pause is over (timeout) or stop fires.
  [[nodiscard]] wait_error pause(deadline until, const std::stop_token& stop, std::source_location site) noexcept;
  [[nodiscard]] turn_pause_awaiter async_pause(deadline until, std::stop_token stop,
                                               std::source_location site) noexcept;

  /// Hands the turn to the oldest waiter, or lets it be free.
  void give() noexcept;

  /// What the picture shows as the holder: the agent that took the lock; 0: nobody, or another process.
  void held_by(std::uint32_t agent) noexcept { holder_.store(agent, std::memory_order_relaxed); }

  std::uint32_t users = 0;  ///< who holds or waits; under the service's mutex

 private:
  friend class turn_awaiter;
  friend class turn_pause_awaiter;
  [[nodiscard]] park::resource resource() const noexcept;
  [[nodiscard]] bool enqueue(park::slot& node) noexcept;  // false: taken instead
  void leave(park::slot& node) noexcept;

  std::string name_;
  park::queue queue_;                     // its lock guards taken_
  bool taken_ = false;                    // under queue_'s lock
  std::atomic<std::uint32_t> holder_{0};  // shown by the picture
};

/// What lock_turn::async_take() returns.
class [[nodiscard]] turn_awaiter final : public park::task_wait {
 public:
  turn_awaiter(lock_turn& turn, deadline until, std::stop_token stop, std::source_location site) noexcept
      : task_wait{turn.resource(), until, std::move(stop), site}, turn_{turn} {}
  [[nodiscard]] std::optional<wait_error> await_resume() const noexcept { return error_; }

 private:
  [[nodiscard]] bool ready() noexcept override { return turn_.try_take(); }
  [[nodiscard]] bool enqueue() noexcept override { return turn_.enqueue(node()); }
  [[nodiscard]] step claimed(park::phase result) noexcept override;
  void refused(park::phase result) noexcept override { error_ = park::error_of(result); }

  lock_turn& turn_;
  std::optional<wait_error> error_;
};

/// What lock_turn::async_pause() returns.
class [[nodiscard]] turn_pause_awaiter final : public park::task_wait {
 public:
  turn_pause_awaiter(lock_turn& turn, deadline until, std::stop_token stop, std::source_location site) noexcept
      : task_wait{turn.resource(), until, std::move(stop), site} {}
  [[nodiscard]] wait_error await_resume() const noexcept { return why_; }

 private:
  [[nodiscard]] bool ready() noexcept override { return false; }
  [[nodiscard]] bool enqueue() noexcept override { return true; }
  [[nodiscard]] step claimed(park::phase result) noexcept override {
    why_ = park::error_of(result);
    return result == park::phase::cancelled ? step::unwind : step::resume;
  }
  void refused(park::phase result) noexcept override { why_ = park::error_of(result); }

  wait_error why_ = wait_error::timeout;
};

}  // namespace heddle::dist
