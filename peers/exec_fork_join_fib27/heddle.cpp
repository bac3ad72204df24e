#include "repeat.hpp"

#include <heddle/exec/thread_pool.hpp>

namespace {

long fib(heddle::thread_pool& pool, int n) {
  if (n < 2) return n;
  const auto [a, b] = pool.fork_join([&pool, n] { return fib(pool, n - 1); }, [&pool, n] { return fib(pool, n - 2); });
  return a + b;
}

}  // namespace

/// fib(27) by dividing down to the leaves: nothing but the cost of a fork, on two workers.
int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  heddle::thread_pool pool{{.threads = 2}};
  peers::print_ms(peers::median_ms(given, [&] { peers::expect(fib(pool, 27) == 196'418, "fib"); }));
}
