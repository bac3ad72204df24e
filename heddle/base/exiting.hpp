#pragma once

namespace heddle {

/// Whether the program has begun to run its exit handlers. From then on destructors do not end the program for what
/// would otherwise be misuse: other threads may still run while globals are destroyed. Costs microseconds while it does
/// not: only for those who have found a misuse.
[[nodiscard]] bool process_is_exiting() noexcept;

/// Makes process_is_exiting() work; called once by the first agent.
void watch_for_exit() noexcept;

}  // namespace heddle
