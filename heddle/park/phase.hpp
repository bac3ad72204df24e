#pragma once

#include <cstdint>

namespace heddle::park {

/// Where a wait stands. The moves, each one compare-and-swap on the slot's claim word:
///
///     idle -> arming                       the agent begins a wait (a new generation)
///     arming -> parked | suspended         the agent commits: thread sleeps, task is suspended
///     arming -> claimed                    a waker has won the wait and will publish the result
///     parked | suspended -> claimed_suspended    likewise, of one that must be woken or posted
///     claimed -> claimed_suspended         the agent commits after it was claimed
///     claimed* -> woken | granted | closed the waker publishes
///     claimed -> arming, claimed_suspended -> parked | suspended    the waker redirects it (a new generation)
///     arming | parked | suspended -> timed_out | stopped | cancelled | victim    a canceller wins
///     any result -> arming | idle          the agent retries or is done
enum class phase : std::uint8_t {
  idle,
  arming,
  parked,
  suspended,
  claimed,
  claimed_suspended,
  // results
  woken,    ///< try again
  granted,  ///< what was waited for has been handed over
  closed,   ///< it will never come
  timed_out,
  stopped,    ///< by the stop_token passed to the operation
  cancelled,  ///< by the stop of the task's own context
  victim,     ///< chosen to break a deadlock
};

}  // namespace heddle::park
