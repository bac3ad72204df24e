#pragma once

#include <heddle/park/holds.hpp>
#include <heddle/park/snapshot.hpp>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::park {

/// A lock that an agent of another process holds.
struct held_lock {
  const void* lock = nullptr;  ///< its address there: only to tell locks apart
  resource_kind kind = resource_kind::none;
  std::string name;  ///< its name, or "file.cpp:12" where it was made
  hold_mode mode = hold_mode::exclusive;
  const void* taken_at = nullptr;  ///< the program counter of the call that took it, in that process
};

/// An agent of another process.
struct agent_info {
  wait_info wait;                ///< who it is; and, if it waits, for what
  bool waits = false;            ///< only then the fields about its wait mean something
  std::vector<held_lock> holds;  ///< in the order in which it took them; at most the first ten
};

/// Why another process cannot be read.
enum class read_error : std::uint8_t {
  no_such_process,
  not_permitted,  ///< the kernel lets only the same user, or a privileged one, look into a process
  no_agents,      ///< it does not use heddle, or has not locked or waited yet
  other_version,  ///< its heddle writes its agents in another way
  unreadable,     ///< the system has no descriptor or address space to give
};
[[nodiscard]] std::string_view to_string(read_error why) noexcept;

/// The agents of another process, or of this one. Each is consistent in itself, as in a snapshot.
struct process_snapshot {
  std::vector<agent_info> agents;
  std::size_t torn = 0;  ///< agents that changed too fast to be read, or were stopped while they changed
};

/// Reads who waits in another process for what, held by whom, and who holds what. That process takes no part in it: it may
/// hang, or be stopped. Names and places are read out of its memory as far as the kernel permits, else they are empty;
/// what stands there is not trusted.
///
/// @param process its id.
/// - Who waits for what held by whom is told, and what is held.
///   [test: other_process.its_deadlock_is_read_from_outside]
/// - It may be stopped meanwhile. [test: other_process.a_stopped_one_is_read_as_well]
/// - A process that is not there, that must not be looked at, without heddle or with another version of it is an error
///   of its own. [test: other_process.one_that_is_not_there_is_told, other_process.one_of_somebody_else_is_told,
///   other_process.one_without_heddle_is_told, other_process.one_with_another_version_is_told]
/// - It may be this process. [test: other_process.may_be_this_one]
/// - What its memory says is not trusted. [test: other_process.what_it_says_is_not_trusted]
///
/// Thread-safety: any thread. Cost: a few system calls, and about a microsecond for each agent that waits or holds.
[[nodiscard]] std::expected<process_snapshot, read_error> read_agents_of(std::uint32_t process);

}  // namespace heddle::park
