#pragma once

#include <heddle/park/wait.hpp>

#include <chrono>
#include <expected>

namespace heddle {

/// What sleep_until() returns.
class [[nodiscard]] sleep_awaiter final : public park::task_wait {
 public:
  sleep_awaiter(deadline until, std::stop_token stop, std::source_location site) noexcept
      : task_wait{park::resource::of(resource_kind::timer, this, "sleep"), until, std::move(stop), site} {}
  /// Called on resumption: whether the time came, or the stop.
  bool await_resume() const noexcept { return slept_; }

 private:
  [[nodiscard]] bool ready() noexcept override { return until().has_passed(); }
  [[nodiscard]] bool enqueue() noexcept override { return true; }
  [[nodiscard]] step claimed(park::phase result) noexcept override {
    slept_ = result == park::phase::timed_out;
    return result == park::phase::cancelled ? step::unwind : step::resume;
  }
  void refused(park::phase result) noexcept override { slept_ = result == park::phase::timed_out; }

  bool slept_ = true;
};

/// Suspends the task until the deadline, on any executor; awaits true, or false when `stop` fired first. A task whose
/// context is stopped unwinds. On an event loop its own sleep_until is cheaper.
/// - Sleeps until the deadline and not shorter. [test: sleep.does_not_end_early]
/// - A stop ends it. [test: sleep.a_stop_ends_it]
inline sleep_awaiter sleep_until(deadline until, std::stop_token stop = {},
                                 std::source_location site = std::source_location::current()) noexcept {
  return {until, std::move(stop), site};
}

/// As sleep_until, from now on.
template <class Rep, class Period>
sleep_awaiter sleep_for(std::chrono::duration<Rep, Period> time, std::stop_token stop = {},
                        std::source_location site = std::source_location::current()) noexcept {
  return {deadline::after(time), std::move(stop), site};
}

}  // namespace heddle
