#pragma once

#include <heddle/base/deadline.hpp>

#include <atomic>
#include <cstdint>

namespace heddle::park {

/// Calls `fire(argument)` once on the clock thread when the deadline has come.
///
/// The clock thread is one per process, starts with the first alarm and sleeps while nothing is due. `fire` must be
/// short and must not wait. Not for fine timing: it is as exact as the scheduler.
///
/// - It rings once, and not before its time. [test: alarm.rings_once_and_not_early]
/// - Alarms ring in the order of their times. [test: alarm.many_ring_in_the_order_of_their_times]
/// - A time in the past is now. [test: alarm.one_in_the_past_rings_at_once]
class alarm {
 public:
  alarm() = default;
  alarm(const alarm&) = delete;
  alarm& operator=(const alarm&) = delete;
  /// Takes the alarm back; when it is just firing on another thread, returns after it has.
  ~alarm() { clear(); }

  /// Sets the alarm; it must not be set. `never` does nothing.
  /// - It can be set again once it has rung. [test: alarm.may_be_set_again_after_it_rang]
  /// - `never` does nothing. [test: alarm.never_rings_never]
  void set(deadline when, void (*fire)(void*) noexcept, void* argument) noexcept;

  /// Takes it back. Afterwards `fire` neither runs nor will run.
  /// - It does not ring afterwards. [test: alarm.does_not_ring_once_it_is_cleared]
  /// - A ring in progress is waited for. [test: alarm.clearing_waits_for_the_ring_in_progress]
  /// - `fire` itself may call it. [test: alarm.may_clear_itself_while_it_rings]
  void clear() noexcept;

 private:
  static void ring(void* self, std::uint64_t generation) noexcept;

  std::atomic<std::uint32_t> position_{0};
  void (*fire_)(void*) noexcept = nullptr;
  void* argument_ = nullptr;
};

}  // namespace heddle::park
