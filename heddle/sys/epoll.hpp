#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <expected>
#include <span>
#include <system_error>

namespace heddle::sys {

/// An epoll instance, closed on exec.
[[nodiscard]] std::expected<int, std::error_code> open_epoll() noexcept;

/// Adds `descriptor`, edge-triggered for reading, writing and the end of the other side's sending. `data` comes back
/// with its events; what is ready at this moment is reported, too.
/// @return an errno value, 0 when it was added.
[[nodiscard]] int epoll_add(int epoll, int descriptor, void* data) noexcept;

/// Takes `descriptor` out.
void epoll_remove(int epoll, int descriptor) noexcept;

/// Waits until something is ready, for at most `timeout_ns` (0: does not wait; negative: for ever).
/// @return how many events were written; 0 also when a signal handler interrupted it.
[[nodiscard]] std::size_t epoll_wait_ns(int epoll, std::span<epoll_event> events, std::int64_t timeout_ns) noexcept;

/// A counter that a descriptor wakes for, closed on exec, not blocking.
[[nodiscard]] std::expected<int, std::error_code> open_event_counter() noexcept;

/// Adds one; wakes whoever waits for the descriptor.
void bump_event_counter(int descriptor) noexcept;

/// Takes what has been added since the last call.
[[nodiscard]] std::uint64_t take_event_counter(int descriptor) noexcept;

/// Closes any descriptor.
void close_descriptor(int descriptor) noexcept;

}  // namespace heddle::sys
