#pragma once

#include <absl/synchronization/mutex.h>

namespace peers {

/// absl::Mutex under the names of the standard library.
class absl_mutex {
 public:
  [[clang::no_thread_safety_analysis]] void lock() { mutex_.Lock(); }
  [[clang::no_thread_safety_analysis]] void unlock() { mutex_.Unlock(); }
  [[clang::no_thread_safety_analysis]] void lock_shared() { mutex_.ReaderLock(); }
  [[clang::no_thread_safety_analysis]] void unlock_shared() { mutex_.ReaderUnlock(); }

  absl::Mutex& own() { return mutex_; }

 private:
  absl::Mutex mutex_;
};

}  // namespace peers
