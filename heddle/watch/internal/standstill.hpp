#pragma once

#include <heddle/park/internal/picture.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>

#include <optional>
#include <string>
#include <vector>

namespace heddle::watch {

/// Finds the moment from which on nobody is left who could wake anybody: all agents wait, without a deadline, for each
/// other's doing (a condition, a permit, a message, an answer), and every other thread of the process sleeps until it
/// is woken. Only possible, as another process or a signal might still do something. One owner.
///
/// - It is told once, when it has lasted. [test: standstill.is_told_once_when_it_has_lasted]
/// - While anybody runs, or time or the network can wake somebody, there is none.
///   [test: standstill.is_none_while_somebody_runs, standstill.is_none_while_a_deadline_or_a_timer_runs]
class standstill {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Whether all threads that do not wait in heddle sleep until they are woken, as the kernel tells.
  [[nodiscard]] static bool others_sleep(const park::picture& seen);

  explicit standstill(bool (*do_others_sleep)(const park::picture&) = &others_sleep) noexcept
      : others_sleep_{do_others_sleep} {}

  [[nodiscard]] std::vector<report> study(const park::picture& seen, time_point now, const settings& wanted);
  [[nodiscard]] std::optional<time_point> next_look() const noexcept { return next_; }

 private:
  bool (*others_sleep_)(const park::picture&);
  std::string key_;      // of the waits that stood still at the look before; empty: they did not
  unsigned looks_ = 0;   // how often the same waits have been looked at
  unsigned asleep_ = 0;  // at how many looks in a row all other threads slept
  bool told_ = false;
  std::optional<time_point> next_;
};

}  // namespace heddle::watch
