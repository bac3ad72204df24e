#include "condition_ping_pong/workload.hpp"

#include <absl/synchronization/mutex.h>

namespace {

/// absl's names under those of the standard library.
class lock {
 public:
  [[clang::no_thread_safety_analysis]] explicit lock(absl::Mutex& mutex) : mutex_{mutex} { mutex_.Lock(); }
  [[clang::no_thread_safety_analysis]] ~lock() { mutex_.Unlock(); }
  lock(const lock&) = delete;
  lock& operator=(const lock&) = delete;
  absl::Mutex& mutex() { return mutex_; }

 private:
  absl::Mutex& mutex_;
};

class condition {
 public:
  [[clang::no_thread_safety_analysis]] void wait(lock& held) { condition_.Wait(&held.mutex()); }
  void notify_one() { condition_.Signal(); }

 private:
  absl::CondVar condition_;
};

}  // namespace

int main(int argc, char** argv) {
  return peers::ping_pong<peers::turns_on_a_condition<absl::Mutex, lock, condition>>(argc, argv);
}
