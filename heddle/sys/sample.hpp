#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace heddle::sys {

/// Asks another thread of this process for its stack and waits for the answer, for at most 50 ms.
///
/// The thread is interrupted by a real-time signal (SIGRTMAX - 3) whose handler walks the stack; only if it is computing
/// at that moment, as a system call might end with EINTR. Nothing happens if the program has a handler of its own for the
/// signal, or the thread blocks it.
/// @return how many return addresses were written, the innermost first, the handler's own left out; 0 if there is no
///   answer.
/// Thread-safety: any thread, one at a time. Source: signal(7), tgkill(2); glibc's and libgcc's unwinder look up code
/// without a lock since 2.35 and 12.
[[nodiscard]] std::size_t sample_stack(std::uint32_t thread, std::span<const void*> into) noexcept;

}  // namespace heddle::sys
