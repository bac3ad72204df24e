#pragma once

#include <source_location>

namespace heddle::park {

/// A coroutine as traces see it: a link in the chain of those that await each other, innermost first. Promises derive
/// from it; task<T>'s does.
/// - A suspended task shows its whole chain. [test: trace.of_every_suspended_task_shows_how_it_came_there]
///
/// Thread-safety: written by the thread that runs the chain, and only while the chain does not wait; so others may read a
/// whole chain while they keep its wait from ending (see internal/frames_of.hpp).
struct async_frame {
  const async_frame* awaited_by = nullptr;  ///< the coroutine that awaits this one; null at the end of the chain
  std::source_location at{};                ///< where it awaits, or awaited last; line 0 before the first time
};

}  // namespace heddle::park
