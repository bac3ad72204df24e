#include "semaphore_uncontended/workload.hpp"

#include <absl/synchronization/mutex.h>

namespace {

/// A count under a mutex, as it is written by hand.
class semaphore {
 public:
  explicit semaphore(std::uint32_t permits) : permits_{permits} {}
  void acquire() {
    const absl::MutexLock lock{&mutex_};
    while (permits_ == 0) freed_.Wait(&mutex_);
    --permits_;
  }
  void release() {
    {
      const absl::MutexLock lock{&mutex_};
      ++permits_;
    }
    freed_.Signal();
  }

 private:
  absl::Mutex mutex_;
  absl::CondVar freed_;
  std::uint32_t permits_;
};

}  // namespace

int main(int argc, char** argv) { return peers::semaphore_uncontended<semaphore>(argc, argv); }
