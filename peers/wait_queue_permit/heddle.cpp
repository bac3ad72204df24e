#include "wait_queue_permit/workload.hpp"

#include <heddle/sync/wait_queue.hpp>

namespace {

class permits {
 public:
  void take() {
    queue_.wait([this] { return left_ != 0 && left_-- != 0; });
  }
  void give() {
    queue_.wake_one([this] { ++left_; });
  }

 private:
  heddle::wait_queue queue_;
  int left_ = 1;
};

}  // namespace

int main(int argc, char** argv) { return peers::wait_queue_permit<permits>(argc, argv); }
