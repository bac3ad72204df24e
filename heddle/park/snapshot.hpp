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
struct wait_info {
  std::uint32_t agent = 0;  ///< the waiting agent's id
  agent::kind kind = agent::kind::thread;
  std::string name;          ///< the agent's name, empty if it has none
  std::uint32_t thread = 0;  ///< the kernel's id of the blocked thread; 0 for a suspended task
  resource_kind waits_for = resource_kind::none;
  const void* resource = nullptr;  ///< its address: only to tell resources apart
  std::string resource_name;       ///< its name, or "file.cpp:12" where it was made
  std::uint32_t holder = 0;        ///< the agent that holds it, 0 when nobody does or it has no holder
  std::chrono::steady_clock::time_point since;
  std::optional<std::chrono::steady_clock::time_point> until;  ///< the deadline, if there is one
  std::string site;                                            ///< "file.cpp:40", the waiting call
};

/// All waits of this process. Each is consistent in itself; together they are not one instant. A record that changes
/// under the reader's eyes is tried again a bounded number of times and then left out and counted in `torn`.
/// Thread-safety: any thread, any time. Cost: about 100 ns per agent; the waiters are not stopped.
struct snapshot {
  std::vector<wait_info> waits;
  std::size_t agents = 0;  ///< how many agents hold a slot
  std::size_t torn = 0;

  [[nodiscard]] static snapshot take();
};

}  // namespace heddle::park
