#include "repeat.hpp"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_group.h>

/// As heddle's; the thread that waits works, too, so it is one of two.
int main(int argc, char** argv) {
  constexpr std::uint64_t batch = 200'000;
  const tbb::global_control two{tbb::global_control::max_allowed_parallelism, 2};
  tbb::task_group group;
  peers::print_rate(peers::read_options(argc, argv), batch, [&] {
    for (std::uint64_t i = 0; i < batch; ++i) group.run([] {});
    group.wait();
  });
}
