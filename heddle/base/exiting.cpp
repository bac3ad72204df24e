#include <heddle/base/exiting.hpp>

#include <atomic>
#include <cstdlib>

namespace heddle {
namespace {

constinit std::atomic<bool> exiting{false};

}  // namespace

bool process_is_exiting() noexcept { return exiting.load(std::memory_order_relaxed); }

void watch_for_exit() noexcept {
  std::atexit([] { exiting.store(true, std::memory_order_relaxed); });
}

}  // namespace heddle
