#pragma once

#include <heddle/park/snapshot.hpp>
#include <heddle/watch/report.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

/// What is waiting for what, and why.
namespace heddle::watch {

/// All waits of the process at about one moment.
struct wait_report {
  std::chrono::steady_clock::time_point at;
  std::vector<park::wait_info> waits;  ///< the oldest first
  std::vector<report> deadlocks;       ///< the circles that stand now
  std::size_t agents = 0;              ///< how many agents hold a slot, waiting or not
  std::size_t torn = 0;                ///< waits that changed too fast to be read

  /// A text for people: the sentence of each deadlock, then a line for each wait, with the frames of a task below.
  [[nodiscard]] std::string text() const;
};

/// Takes a report. A deadlock is told only when two readings agree on each of its waits (same wait, same holder), so a
/// circle that never was is not reported; a circle that forms meanwhile is seen by the next report.
///
/// Only what has a holder, an end or a thread makes a circle (locks, joins, executors); waits for conditions, permits or
/// messages are listed but prove nothing. Thread-safety: any thread, any time; nobody is stopped. Cost: about 100 ns for each agent.
/// - Every wait is listed with who, what, by whom held, since when, until when and from where.
///   [test: watch.lists_who_waits_for_what_held_by_whom]
/// - A circle of a thread and a task is found and named. [test: watch.finds_a_deadlock_between_a_thread_and_a_task]
/// - A suspended task shows its frames, as far as it is among the 256 oldest waits.
///   [test: watch.a_deadlock_of_tasks_shows_their_frames]
/// - A chain that ends is no circle. [test: watch.a_chain_is_not_a_deadlock]
[[nodiscard]] wait_report waits();

}  // namespace heddle::watch
