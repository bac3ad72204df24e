#include "condition_ping_pong/workload.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

/// The floor: the turn is a word on which the kernel lets threads sleep.
class turns {
 public:
  bool await(int side) {
    for (;;) {
      const std::uint32_t seen = turn_.load(std::memory_order_acquire);
      if (seen == over) return false;
      if (seen == static_cast<std::uint32_t>(side)) return true;
      syscall(SYS_futex, &turn_, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
    }
  }
  void pass_to(int side) { set(static_cast<std::uint32_t>(side)); }
  void end() { set(over); }

 private:
  static constexpr std::uint32_t over = 2;
  void set(std::uint32_t turn) {
    turn_.store(turn, std::memory_order_release);
    syscall(SYS_futex, &turn_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
  std::atomic<std::uint32_t> turn_{0};
};

}  // namespace

int main(int argc, char** argv) { return peers::ping_pong<turns>(argc, argv); }
