#pragma once

#include <heddle/park/holds.hpp>
#include <heddle/park/phase.hpp>
#include <heddle/park/snapshot.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace heddle::park {

/// One agent as it was at the moment it was read: what watch reasons about.
struct agent_view {
  wait_info wait;      ///< who it is; and, if it waits, for what
  bool waits = false;  ///< the fields up to executor_threads, and the wait's, are meaningful only then
  std::uint64_t generation = 0;
  phase now = phase::idle;
  bool blocks_thread = false;  ///< a thread sleeps in this wait; false: a suspended task
  bool breakable = false;      ///< the waiting call can return wait_error::deadlock
  bool replaced = false;       ///< another thread works in place of the blocked one
  std::string executor_name;
  unsigned executor_threads = 0;

  const void* runs_on = nullptr;     ///< the executor: only to tell executors apart
  const void* awaited_by = nullptr;  ///< see agent::is_awaited_by()
  std::vector<hold> holds;           ///< empty if they kept changing
};

/// All agents that have a slot; each is consistent in itself. See snapshot.
struct picture {
  std::vector<agent_view> agents;
  std::size_t torn = 0;

  [[nodiscard]] static picture take();
};

}  // namespace heddle::park
