#include "exec_cold_wake/workload.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

namespace {

using word = std::atomic<std::uint32_t>;

void set(word& at, std::uint32_t value) {
  at.store(value);
  syscall(SYS_futex, &at, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}
void await(word& at, std::uint32_t before) {
  while (at.load() == before) syscall(SYS_futex, &at, FUTEX_WAIT_PRIVATE, before, nullptr, nullptr, 0);
}

}  // namespace

/// The floor: two threads and two words on which the kernel lets them sleep.
int main(int argc, char** argv) {
  constexpr std::uint32_t over = ~0U;
  word asked{0};
  word answered{0};
  std::thread other{[&] {
    for (std::uint32_t seen = 0;;) {
      await(asked, seen);
      seen = asked.load();
      if (seen == over) return;
      set(answered, seen);
    }
  }};
  std::uint32_t count = 0;
  peers::print_cold_wake(peers::read_options(argc, argv), [&] {
    set(asked, ++count);
    await(answered, count - 1);
  });
  set(asked, over);
  other.join();
}
