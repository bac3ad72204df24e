#include "repeat.hpp"

#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

int main(int argc, char** argv) {
  constexpr std::uint64_t batch = 200'000;
  tbb::task_arena arena{2};
  peers::print_rate(peers::read_options(argc, argv), batch, [&] {
    arena.execute([] {
      tbb::task_group group;
      for (std::uint64_t i = 0; i < batch; ++i) group.run([] {});
      group.wait();
    });
  });
}
