#include "repeat.hpp"

#include <oneapi/tbb/parallel_invoke.h>
#include <oneapi/tbb/task_arena.h>

namespace {

long fib(int n) {
  if (n < 2) return n;
  long a = 0;
  long b = 0;
  tbb::parallel_invoke([&a, n] { a = fib(n - 1); }, [&b, n] { b = fib(n - 2); });
  return a + b;
}

}  // namespace

int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  tbb::task_arena arena{2};
  peers::print_ms(
      peers::median_ms(given, [&] { peers::expect(arena.execute([] { return fib(27); }) == 196'418, "fib"); }));
}
