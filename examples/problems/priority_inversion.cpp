// Priority inversion: a high thread waits for a lock that a low thread holds; the low one does not get the CPU, because a
// middle one, which has nothing to do with the lock, has it. So the middle one goes before the high one.

#include "one_cpu.hpp"
#include "reports.hpp"

#include <heddle/sync/mutex.hpp>

#include <fmt/core.h>

using namespace std::chrono_literals;

int main() {
  reports seen;
  // [inversion]
  heddle::mutex lock{"the bus"};
  const one_cpu::result seen_by_high = one_cpu::run(lock, /*held*/ 30ms, /*busy*/ 200ms);
  // [/inversion]
  if (seen_by_high.error != 0) {
    fmt::print("no real-time scheduling here: {}\n", std::strerror(seen_by_high.error));
    return 77;
  }
  const auto found = seen.first(heddle::watch::problem::priority_inversion);
  if (found) fmt::print("{}", found->text());
  fmt::print("priority inversion: the high thread waited {:.1f} ms for a lock held for 30 ms of work\n",
             static_cast<double>(seen_by_high.waited.count()) / 1000);
  return found && seen_by_high.waited > 150ms ? 0 : 1;
}
