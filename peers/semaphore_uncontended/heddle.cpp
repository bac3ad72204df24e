#include "semaphore_uncontended/workload.hpp"

#include <heddle/sync/semaphore.hpp>

namespace {

class semaphore {
 public:
  explicit semaphore(std::uint32_t permits) : semaphore_{permits} {}
  void acquire() { semaphore_.acquire().use_up(); }
  void release() { semaphore_.release(); }

 private:
  heddle::semaphore semaphore_;
};

}  // namespace

int main(int argc, char** argv) { return peers::semaphore_uncontended<semaphore>(argc, argv); }
