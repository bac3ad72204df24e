#include "semaphore_uncontended/workload.hpp"

#include <condition_variable>
#include <mutex>

namespace {

/// A count under a mutex, as it is written by hand.
class semaphore {
 public:
  explicit semaphore(std::uint32_t permits) : permits_{permits} {}
  void acquire() {
    std::unique_lock lock{mutex_};
    freed_.wait(lock, [this] { return permits_ != 0; });
    --permits_;
  }
  void release() {
    {
      const std::lock_guard lock{mutex_};
      ++permits_;
    }
    freed_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable freed_;
  std::uint32_t permits_;
};

}  // namespace

int main(int argc, char** argv) { return peers::semaphore_uncontended<semaphore>(argc, argv); }
