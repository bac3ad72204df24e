#pragma once

#include <heddle/base/origin.hpp>

namespace heddle::watch {

/// Says that the current agent has failed `attempts` times in a row at one place, without having got anywhere: what
/// heddle::backoff and lock_all call as their attempts grow. From settings::livelock_after attempts on it is reported as
/// a possible livelock, with everybody else who failed there in the last second; once for each place, and again only
/// when nobody has failed there for ten seconds.
///
/// @param where the name or the place of what is attempted; @param named which of the two it is.
/// Thread-safety: any thread; handlers of the report run on it. Cost: one lock.
/// - Too many attempts are told once, with all who fail. [test: livelock.is_told_once_with_all_who_fail]
/// - Few attempts are nothing. [test: livelock.few_attempts_are_nothing]
void attempts_without_progress(origin where, bool named, unsigned attempts) noexcept;

}  // namespace heddle::watch
