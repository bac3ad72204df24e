// The cure: while a high thread waits for it, the holder of a pi_mutex runs with the high thread's rank.

#include "one_cpu.hpp"
#include "reports.hpp"

#include <heddle/sync/pi_mutex.hpp>

#include <fmt/core.h>

using namespace std::chrono_literals;

int main() {
  reports seen;
  // [cure]
  heddle::pi_mutex lock{"the bus"};
  const one_cpu::result seen_by_high = one_cpu::run(lock, /*held*/ 30ms, /*busy*/ 200ms);
  // [/cure]
  if (seen_by_high.error != 0) {
    fmt::print("no real-time scheduling here: {}\n", std::strerror(seen_by_high.error));
    return 77;
  }
  const auto found = seen.all();
  for (const auto& each : found) fmt::print("{}", each.text());
  fmt::print(
      "priority inversion cured: the high thread waited {:.1f} ms for a lock that was held for {:.1f} ms, {} reports\n",
      static_cast<double>(seen_by_high.waited.count()) / 1000, static_cast<double>(seen_by_high.held.count()) / 1000,
      found.size());
  // Of each second the kernel keeps real-time threads off a processor for 50 ms, if other threads want it.
  return found.empty() && seen_by_high.waited <= seen_by_high.held + 100ms ? 0 : 1;
}
