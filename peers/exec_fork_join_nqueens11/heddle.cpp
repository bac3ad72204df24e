#include "exec_fork_join_nqueens11/workload.hpp"

#include <heddle/exec/thread_pool.hpp>

namespace {

using peers::board;

long place(heddle::thread_pool& pool, board on);

// The solutions with the next queen in one of `columns`: each is forked off from the rest.
long place_in(heddle::thread_pool& pool, board on, unsigned columns) {
  const unsigned rest = columns & (columns - 1);
  if (rest == 0) return place(pool, on.with_first_of(columns));
  const auto [here, behind] = pool.fork_join([&pool, on, columns] { return place(pool, on.with_first_of(columns)); },
                                             [&pool, on, rest] { return place_in(pool, on, rest); });
  return here + behind;
}

long place(heddle::thread_pool& pool, board on) {
  if (on.full()) return 1;
  return on.free() == 0 ? 0 : place_in(pool, on, on.free());
}

}  // namespace

/// All ways to place 11 queens, each place a fork, on two workers.
int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  heddle::thread_pool pool{{.threads = 2}};
  peers::print_ms(peers::median_ms(
      given, [&] { peers::expect(place(pool, board{}) == board::solutions, "the number of solutions"); }));
}
