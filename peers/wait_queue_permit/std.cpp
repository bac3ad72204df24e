#include "wait_queue_permit/workload.hpp"

#include <condition_variable>
#include <mutex>

namespace {

class permits {
 public:
  void take() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return left_ != 0; });
    --left_;
  }
  void give() {
    const std::lock_guard lock{mutex_};
    ++left_;
    changed_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int left_ = 1;
};

}  // namespace

int main(int argc, char** argv) { return peers::wait_queue_permit<permits>(argc, argv); }
