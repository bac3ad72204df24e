#pragma once

#include <cstdint>
#include <expected>
#include <system_error>

namespace heddle::sys {

/// A set of signals: bit n-1 stands for signal n.
using signal_bits = std::uint64_t;

/// Blocks signals in the calling thread. @return those that were not blocked before.
[[nodiscard]] signal_bits block_signals(signal_bits which) noexcept;
void unblock_signals(signal_bits which) noexcept;

/// A descriptor that is readable while one of the signals is pending; does not block, closed on exec.
[[nodiscard]] std::expected<int, std::error_code> open_signal_descriptor(signal_bits which) noexcept;

/// Takes one pending signal: its number, or a negated errno value (-EAGAIN when there is none).
[[nodiscard]] int take_signal(int descriptor) noexcept;

}  // namespace heddle::sys
