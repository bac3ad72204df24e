#include "exec_fork_join_uts/workload.hpp"

#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <array>
#include <numeric>
#include <vector>

namespace {

using peers::uts_node;

long count(uts_node node) {
  const int children = node.count_of_children();
  if (children == 0) return 1;
  std::array<long, uts_node::children> few{};
  std::vector<long> many(children > uts_node::children ? static_cast<std::size_t>(children) : 0);
  long* const found = many.empty() ? few.data() : many.data();
  tbb::task_group group;
  for (int i = 0; i < children; ++i) {
    group.run([found, i, child = node.child(i)] { found[i] = count(child); });
  }
  group.wait();
  return std::accumulate(found, found + children, 1L);
}

}  // namespace

int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  tbb::task_arena arena{2};
  peers::print_ms(peers::median_ms(given, [&] {
    peers::expect(arena.execute([] { return count(uts_node{}); }) == uts_node::nodes, "the number of nodes");
  }));
}
