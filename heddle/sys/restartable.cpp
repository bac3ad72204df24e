#include <heddle/base/fatal.hpp>
#include <heddle/sys/restartable.hpp>

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <sys/rseq.h>
#endif

namespace heddle::sys {

constinit std::int64_t restart_area = 0;

void allow_restarts() noexcept {
#if defined(__x86_64__)
  if constexpr (restartable) {
    if (__rseq_size == 0) return;  // an old kernel, or somebody else's: glibc.pthread.rseq=0
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) != 0) return;
    restart_area = __rseq_offset;
  }
#endif
}

void restart_others() noexcept {
  if (restart_area == 0) return;
  if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0) != 0) {
    fatal("membarrier(2) was granted when heddle began and is refused now; a seccomp filter must let it pass");
  }
}

}  // namespace heddle::sys
