#include "exec_fork_join_uts/workload.hpp"

#include <heddle/exec/thread_pool.hpp>

namespace {

using peers::uts_node;

long count(heddle::thread_pool& pool, uts_node node);

long count(heddle::thread_pool& pool, uts_node parent, int from, int to) {
  if (to - from == 1) return count(pool, parent.child(from));
  const int middle = from + (to - from) / 2;
  const auto [a, b] = pool.fork_join([&pool, parent, from, middle] { return count(pool, parent, from, middle); },
                                     [&pool, parent, middle, to] { return count(pool, parent, middle, to); });
  return a + b;
}

long count(heddle::thread_pool& pool, uts_node node) {
  const int children = node.count_of_children();
  return children == 0 ? 1 : 1 + count(pool, node, 0, children);
}

}  // namespace

/// Counts the nodes of the tree, each child a fork, on two workers.
int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  heddle::thread_pool pool{{.threads = 2}};
  peers::print_ms(peers::median_ms(
      given, [&] { peers::expect(count(pool, uts_node{}) == uts_node::nodes, "the number of nodes"); }));
}
