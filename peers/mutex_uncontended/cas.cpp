#include "mutex_uncontended/workload.hpp"

namespace {

/// The floor: two compare-and-swaps in line, no owner, no slow path.
class bare_cas {
 public:
  void lock() {
    std::uint32_t free = 0;
    while (!word_.compare_exchange_weak(free, 1, std::memory_order_acquire, std::memory_order_relaxed)) free = 0;
  }
  void unlock() {
    std::uint32_t taken = 1;
    word_.compare_exchange_strong(taken, 0, std::memory_order_release, std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint32_t> word_{0};
};

}  // namespace

int main(int argc, char** argv) { return peers::mutex_uncontended<bare_cas>(argc, argv); }
