#pragma once

#include <cstdint>
#include <vector>

namespace heddle::sys {

/// The kernel's ids of this process's threads.
[[nodiscard]] std::vector<std::uint32_t> threads_of_process();

/// Whether a thread of this process sleeps in a futex(2) wait without a time-out, so that only somebody who has its
/// memory can wake it: as in joining a thread, or in a lock that is not heddle's. False if the kernel does not say.
/// Source: proc(5), /proc/[pid]/task/[tid]/syscall.
[[nodiscard]] bool sleeps_until_woken(std::uint32_t thread) noexcept;

}  // namespace heddle::sys
