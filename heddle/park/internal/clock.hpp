#pragma once

#include <atomic>
#include <cstdint>

namespace heddle::park {

/// One entry of the clock: `fire(object, argument)` at `when_ns`. `position` belongs to the caller, is 0 while nothing
/// is set, and is written by the clock under its lock as the entry moves in the heap. It must be 0 here.
void clock_set(std::int64_t when_ns, void (*fire)(void* object, std::uint64_t argument) noexcept, void* object,
               std::uint64_t argument, std::atomic<std::uint32_t>& position) noexcept;

/// Takes the entry back; costs one load when nothing is set. The callback may be running at this moment on the clock
/// thread.
void clock_clear(std::atomic<std::uint32_t>& position) noexcept;

/// As clock_clear, and returns only when no callback with `object` is running, unless called from that callback.
void clock_clear_and_wait(std::atomic<std::uint32_t>& position, void* object) noexcept;

/// Around fork(2): the child has no clock thread, and starts one at its next alarm.
void clock_before_fork() noexcept;
void clock_after_fork(bool in_child) noexcept;

}  // namespace heddle::park
