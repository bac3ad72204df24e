// Starvation: a lock that does not care who has waited for how long. The hog lets go and takes it again before the other
// has woken up, again and again.

#include "reports.hpp"

#include <heddle/sync/watched.hpp>

#include <fmt/core.h>

#include <atomic>
#include <mutex>
#include <thread>

// [starvation]
/// A lock that is fast, simple and unfair: whoever comes at the right moment has it.
class unfair_lock {
 public:
  void lock() {
    while (!try_lock()) std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  bool try_lock() { return !taken_.exchange(true); }
  void unlock() { taken_ = false; }

 private:
  std::atomic<bool> taken_{false};
};

heddle::watched<unfair_lock> printer{"the printer"};
std::atomic<bool> enough{false};

void hog() {
  while (!enough) {
    const std::lock_guard mine{printer};
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds{2};
    while (std::chrono::steady_clock::now() < until) {
    }
  }
}
// [/starvation]

int main() {
  reports seen;
  std::jthread greedy{hog};
  std::jthread patient{[] {
    while (!enough) const std::lock_guard once{printer};  // it may be lucky now and then
  }};
  const auto found = seen.first(heddle::watch::problem::starvation);
  if (found) fmt::print("{}", found->text());
  enough = true;
  return found && found->how_sure == heddle::watch::confidence::certain ? 0 : 1;
}
