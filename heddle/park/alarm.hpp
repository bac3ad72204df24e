#pragma once

#include <heddle/base/deadline.hpp>

#include <atomic>
#include <cstdint>

namespace heddle::park {

/// Calls `fire(argument)` once on the clock thread when the deadline has come.
///
/// The clock thread is one per process, starts with the first alarm and sleeps while nothing is due. `fire` must be
/// short and must not wait. Not for fine timing: it is as exact as the scheduler.
class alarm {
 public:
  alarm() = default;
  alarm(const alarm&) = delete;
  alarm& operator=(const alarm&) = delete;
  /// Takes the alarm back; when it is just firing on another thread, returns after it has.
  ~alarm() { clear(); }

  /// Sets the alarm; it must not be set. `never` does nothing.
  void set(deadline when, void (*fire)(void*) noexcept, void* argument) noexcept;

  /// Takes it back. Afterwards `fire` neither runs nor will run.
  void clear() noexcept;

 private:
  static void ring(void* self, std::uint64_t generation) noexcept;

  std::atomic<std::uint32_t> position_{0};
  void (*fire_)(void*) noexcept = nullptr;
  void* argument_ = nullptr;
};

}  // namespace heddle::park
