#pragma once

#include <heddle/park/agent.hpp>

namespace heddle::park {

/// What current_agent() reads: null until the thread's first use of heddle. The model spares a shared object a call for
/// each access; it needs 8 bytes of the room that glibc keeps in every thread for objects that are loaded later.
extern constinit thread_local agent* running_agent [[gnu::tls_model("initial-exec")]];

/// The current agent if it has a slot already, else null: for fast paths, whose slow halves call current_agent().
///
/// Only for functions that are themselves never inlined into a coroutine, those of .cpp files: a coroutine may go on
/// on another thread, and must not keep the thread-local address.
[[nodiscard, gnu::always_inline]] inline agent* known_agent() noexcept {
  agent* const running = running_agent;
  return running != nullptr && running->id_if_any() != 0 ? running : nullptr;
}

}  // namespace heddle::park
