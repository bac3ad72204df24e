#include "workload.hpp"

#include <oneapi/tbb/concurrent_queue.h>

int main(int argc, char** argv) {
  using queue = tbb::concurrent_bounded_queue<std::uint64_t>;
  return peers::run_queue(
      argc, argv,
      [] {
        auto q = std::make_unique<queue>();
        q->set_capacity(100);
        return q;
      },
      [](queue& q, std::uint64_t item) { q.push(item); },
      [](queue& q) {
        std::uint64_t item = 0;
        q.pop(item);
        return item;
      });
}
