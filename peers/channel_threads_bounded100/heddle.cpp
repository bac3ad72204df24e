#include "workload.hpp"

#include <heddle/channel/channel.hpp>

int main(int argc, char** argv) {
  using queue = heddle::channel<std::uint64_t>;
  return peers::run_queue(
      argc, argv, [] { return std::make_unique<queue>(heddle::bounded(100)); },
      [](queue& q, std::uint64_t item) { (void)q.send(item); }, [](queue& q) { return *q.recv(); });
}
