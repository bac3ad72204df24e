#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace heddle::sys {

/// How the kernel ranks a thread at this moment, with what it inherits through PI futexes.
struct priority {
  int rank = 0;  ///< higher runs first: 1 to 99 is a real-time priority, -39 to 0 an ordinary thread (-nice - 20)

  [[nodiscard]] bool is_real_time() const noexcept { return rank > 0; }
  /// "real-time 80", "nice 5", "deadline".
  [[nodiscard]] std::string in_words() const;
};

/// The effective priority of a thread of this process by the kernel's id; nothing when there is no such thread.
/// Source: proc(5), field `priority` of /proc/[pid]/task/[tid]/stat.
[[nodiscard]] std::optional<priority> priority_of(std::uint32_t thread) noexcept;

}  // namespace heddle::sys
