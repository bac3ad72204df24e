#include "exec_fork_join_scaling/workload.hpp"

#include <heddle/exec/thread_pool.hpp>

namespace {

long fib(heddle::thread_pool& pool, int n) {
  if (n < 2) return n;
  const auto [a, b] = pool.fork_join([&pool, n] { return fib(pool, n - 1); }, [&pool, n] { return fib(pool, n - 2); });
  return a + b;
}

}  // namespace

/// The same tree of forks on a pool of one worker and on one of two.
int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  heddle::thread_pool one{{.threads = 1}};
  heddle::thread_pool two{{.threads = 2}};
  const auto run = [](heddle::thread_pool& pool) { peers::expect(fib(pool, 31) == 1'346'269, "fib"); };
  peers::print_speed_up(given, 1, [&] { run(one); }, [&] { run(two); });
}
