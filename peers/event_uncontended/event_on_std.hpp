#pragma once

#include <condition_variable>
#include <mutex>

namespace peers {

/// An event that lets one go for each time that it is set, made of a mutex and a condition variable.
class event_on_std {
 public:
  void set() {
    const std::lock_guard lock{mutex_};
    set_ = true;
    changed_.notify_one();
  }
  void wait() {
    std::unique_lock lock{mutex_};
    while (!set_) changed_.wait(lock);
    set_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

}  // namespace peers
