#include "repeat.hpp"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

namespace {

long fib(int n) {
  if (n < 2) return n;
  long b = 0;
  tbb::task_group group;
  group.run([&b, n] { b = fib(n - 2); });
  const long a = fib(n - 1);
  group.wait();
  return a + b;
}

}  // namespace

int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  tbb::task_arena arena{2};
  peers::print_ms(
      peers::median_ms(given, [&] { peers::expect(arena.execute([] { return fib(27); }) == 196'418, "fib"); }));
}
