#pragma once

#include <atomic>

namespace heddle::sys {

/// Whether heavy_barrier() acts on all threads of the process, so that light_barrier() need not be an instruction; else
/// each light_barrier() is a full fence. Changed once, by prepare_barriers().
extern constinit std::atomic<bool> barriers_are_uneven;

/// Asks the kernel for uneven barriers; does nothing from the second call on. To be called before the threads start
/// whose barriers are to be light. Source: membarrier(2), MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED.
void prepare_barriers() noexcept;

/// The frequent side of an uneven pair. Of two threads of which one writes x, passes a light barrier and reads y, and the
/// other writes y, passes a heavy barrier and reads x, at least one sees the other's write.
/// - [test: barrier.one_of_two_sees_the_other]
///
/// Cost: keeps the compiler from moving accesses over it, nothing more, where the kernel has uneven barriers.
inline void light_barrier() noexcept {
  if (barriers_are_uneven.load(std::memory_order_relaxed)) [[likely]] {
    std::atomic_signal_fence(std::memory_order_seq_cst);
  } else {
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
}

/// The rare side: a full fence in the calling thread and in each thread of the process that runs just now.
/// Cost: a system call; 0.2 microseconds when no other thread runs, else some microseconds.
void heavy_barrier() noexcept;

}  // namespace heddle::sys
