#pragma once

#include <heddle/park/agent.hpp>
#include <heddle/park/resource.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace heddle::park {

/// One wait as it was at the moment it was read: who waits, for what, held by whom, since when, until when, from where.
/// - Each of these is told. [test: snapshot.shows_who_waits_for_what_held_by_whom_since_when_and_from_where,
///   snapshot.shows_the_thread_that_is_blocked_and_its_deadline]
/// - A wait keeps its age over its attempts. [test: snapshot.keeps_the_age_of_a_wait_over_its_attempts]
struct wait_info {
  std::uint32_t agent = 0;  ///< the waiting agent's id
  agent::kind kind = agent::kind::thread;
  std::string name;          ///< the agent's name, empty if it has none
  std::uint32_t thread = 0;  ///< the kernel's id of the blocked thread; 0 for a suspended task
  resource_kind waits_for = resource_kind::none;
  bool shared = false;             ///< it wants only a share of it: to read
  const void* resource = nullptr;  ///< its address: only to tell resources apart
  std::string resource_name;       ///< its name, or "file.cpp:12" where it was made
  std::uint32_t holder = 0;        ///< the agent that holds it, 0 when nobody does or it has no holder
  std::chrono::steady_clock::time_point since;
  std::optional<std::chrono::steady_clock::time_point> until;  ///< the deadline, if there is one
  std::string site;                                            ///< "file.cpp:40", the waiting call
  std::vector<std::string>
      frames;  ///< of a suspended task, how it came there, innermost first; only watch::waits() tells
};

/// All waits of this process. Each is consistent in itself; together they are not one instant. A record that changes
/// under the reader's eyes is tried again a bounded number of times and then left out and counted in `torn`.
/// - All who wait are there. [test: snapshot.a_hundred_waiting_tasks_are_all_shown]
/// - What is over is not. [test: snapshot.does_not_show_what_is_over]
/// - Each wait is consistent in itself. [test: snapshot.may_be_taken_while_waits_come_and_go]
///
/// Thread-safety: any thread, any time. Cost: about 100 ns per agent; the waiters are not stopped.
struct snapshot {
  std::vector<wait_info> waits;
  std::size_t agents = 0;  ///< how many agents hold a slot
  std::size_t torn = 0;

  [[nodiscard]] static snapshot take();
};

}  // namespace heddle::park
