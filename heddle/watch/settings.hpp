#pragma once

#include <chrono>
#include <cstdint>

namespace heddle::watch {

/// What to do about a deadlock that is certain.
enum class policy : std::uint8_t {
  report_only,  ///< tell of it
  break_it,     ///< and end the wait of the lowest-ranked waiter whose call can say so: it gets wait_error::deadlock
  abort,        ///< and end the program
};

/// What watch looks for. Everything is on by default, in every build; it can be changed at any time.
struct settings {
  bool deadlocks = true;
  policy on_deadlock = policy::report_only;
  bool lock_order = true;
  bool starvation = true;
  bool priority_inversion = true;
  bool livelock = true;
  bool stalls = true;
  bool log = true;  ///< reports go to standard error, too

  std::chrono::milliseconds starves_after{500};  ///< a waiter passed over for so long is told of
  std::chrono::milliseconds inverted_after{20};  ///< a wait below its rank for so long is told of
  std::chrono::milliseconds stalls_after{500};   ///< an item that runs for so long is told of
  unsigned livelock_after = 100;                 ///< so many attempts in a row without progress are told of

  /// Nothing is looked for.
  [[nodiscard]] static settings off() noexcept;

  /// As the environment variable HEDDLE_WATCH asks: "off", "report", "break" or "abort"; all on if it is not set. An
  /// unknown word is told on standard error, and changes nothing.
  /// - The variable decides how a program begins. [test: watch_settings.the_environment_decides_how_a_program_begins]
  [[nodiscard]] static settings from_environment() noexcept;
};

/// Changes what is looked for, from now on. Thread-safety: any thread, any time.
/// - What is off reports nothing. [test: watch_settings.what_is_off_reports_nothing]
void configure(const settings& wanted) noexcept;

/// What is looked for now.
[[nodiscard]] settings current_settings() noexcept;

/// Begins to look for problems, as the environment asks, unless configure() was called before. What waits calls it when
/// the program starts: nobody else needs to.
/// @return true.
bool begin() noexcept;

}  // namespace heddle::watch
