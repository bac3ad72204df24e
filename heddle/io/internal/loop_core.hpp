#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/io/internal/backend.hpp>
#include <heddle/io/internal/handle.hpp>
#include <heddle/io/internal/timer_wheel.hpp>
#include <heddle/park/executor.hpp>
#include <heddle/park/executor_scope.hpp>
#include <heddle/park/phase.hpp>

#include <atomic>
#include <cstdint>
#include <memory>

namespace heddle::io {

/// What an event loop is made of; the essay is in loop_core.cpp.
class loop_core {
 public:
  loop_core(executor& owner, const char* name, std::unique_ptr<backend> system) noexcept;
  ~loop_core();
  loop_core(const loop_core&) = delete;
  loop_core& operator=(const loop_core&) = delete;

  void post(work_item& item) noexcept;
  void run_until_stopped() noexcept;
  void run_until(const bool& ended) noexcept;
  void stop() noexcept;

  /// How often wait() of the backend has returned.
  [[nodiscard]] std::uint64_t turns() const noexcept { return turns_.load(std::memory_order_relaxed); }

  [[nodiscard]] executor& owner() noexcept { return owner_; }
  [[nodiscard]] backend& system() noexcept { return *system_; }

  // On the loop's thread.
  void set_timer(timer_entry& entry, deadline when) noexcept;
  void clear_timer(timer_entry& entry) noexcept { wheel_.clear(entry); }

  /// Takes one from what the running item may do without waiting; false: it shall let others run first.
  [[nodiscard]] bool spend() noexcept {
    if (budget_ == 0) return false;
    --budget_;
    return true;
  }

  /// Begins to watch `descriptor`, which is closed if that fails. @return the handle, or null with `error` set.
  [[nodiscard]] handle* open(int descriptor, const char* name, bool ready_at_first, std::error_code& error) noexcept;

  /// Wakes whoever stands in the handle's queues, later, from the loop.
  void nudge(handle& h) noexcept;

  /// Closes the descriptor; whoever waits goes on with `closed`.
  void close(handle& h) noexcept;

  /// Closes and frees it. Fatal if somebody waits for it.
  void release(handle& h) noexcept;

 private:
  [[nodiscard]] bool on_this_thread() const noexcept;
  void enter() noexcept;
  void leave() noexcept;
  void take_incoming() noexcept;
  void append(work_item& item) noexcept;
  void run_items(executor_scope& here, const bool* ended) noexcept;
  void ask_system(bool heeds_stop) noexcept;
  void fire_timers() noexcept;
  [[nodiscard]] std::int64_t time_left() noexcept;
  static void run_handle(work_item* item) noexcept;

  executor& owner_;
  const char* name_;
  std::unique_ptr<backend> system_;

  // Any thread.
  std::atomic<work_item*> incoming_{nullptr};  // a stack of posted items; &asleep_ while the loop sleeps
  std::atomic<bool> stop_{false};
  std::atomic<bool> running_{false};
  std::atomic<std::size_t> handles_{0};  // alive
  std::atomic<std::uint64_t> turns_{0};  // written by the loop's thread

  // The loop's thread.
  work_item asleep_;
  work_item* first_ = nullptr;  // ready items
  work_item** last_ = &first_;
  timer_wheel wheel_;
  unsigned budget_ = 0;
  std::uint64_t wakes_owed_ = 0;  // how often somebody has promised to call wake()
};

/// Raises `ready` and wakes the waiter if that was news.
void became_ready(handle_side& side) noexcept;

/// Wakes the waiter, if there is one, with `woken` or `closed`.
void wake_waiter(handle_side& side, park::phase result) noexcept;

}  // namespace heddle::io
