#include "exec_fork_join_nqueens11/workload.hpp"

#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <array>
#include <numeric>

namespace {

using peers::board;

long place(board on) {
  if (on.full()) return 1;
  std::array<long, board::size> found{};
  std::size_t places = 0;
  tbb::task_group group;
  for (unsigned columns = on.free(); columns != 0; columns &= columns - 1) {
    group.run([&into = found[places++], more = on.with_first_of(columns)] { into = place(more); });
  }
  group.wait();
  return std::accumulate(found.begin(), found.end(), 0L);
}

}  // namespace

int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  tbb::task_arena arena{2};
  peers::print_ms(peers::median_ms(given, [&] {
    peers::expect(arena.execute([] { return place(board{}); }) == board::solutions, "the number of solutions");
  }));
}
