#include <heddle/base/fatal.hpp>
#include <heddle/sys/barrier.hpp>

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace heddle::sys {
namespace {

bool membarrier(int command) noexcept { return syscall(SYS_membarrier, command, 0, 0) == 0; }

}  // namespace

constinit std::atomic<bool> barriers_are_uneven{false};

void prepare_barriers() noexcept {
  static const bool known = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
  if (known) barriers_are_uneven.store(true, std::memory_order_relaxed);
}

void heavy_barrier() noexcept {
  if (!barriers_are_uneven.load(std::memory_order_relaxed)) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return;
  }
  if (!membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) fatal("the kernel takes back its memory barriers (membarrier)");
}

}  // namespace heddle::sys
