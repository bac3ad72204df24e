#include "semaphore_uncontended/workload.hpp"

#include <semaphore>

namespace {

class semaphore {
 public:
  explicit semaphore(std::uint32_t permits) : semaphore_{permits} {}
  void acquire() { semaphore_.acquire(); }
  void release() { semaphore_.release(); }

 private:
  std::counting_semaphore<1000> semaphore_;
};

}  // namespace

int main(int argc, char** argv) { return peers::semaphore_uncontended<semaphore>(argc, argv); }
