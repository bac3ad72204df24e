#include "mutex_uncontended/workload.hpp"

#include <absl/synchronization/mutex.h>

namespace {

/// absl::Mutex under the names of the standard library.
class absl_mutex {
 public:
  [[clang::no_thread_safety_analysis]] void lock() { mutex_.Lock(); }
  [[clang::no_thread_safety_analysis]] void unlock() { mutex_.Unlock(); }

 private:
  absl::Mutex mutex_;
};

}  // namespace

int main(int argc, char** argv) { return peers::mutex_uncontended<absl_mutex>(argc, argv); }
