#include "exec_fork_join_scaling/workload.hpp"

#include <atomic>
#include <thread>

/// Two threads that have nothing to do with each other, against one: what the machine has to give.
int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  std::atomic<int> wanted{0};
  std::atomic<int> done{0};
  const auto loop = [] { peers::expect(peers::serial_fib(31) == 1'346'269, "fib"); };
  std::jthread other{[&](const std::stop_token& stop) {
    for (int round = 0;;) {
      while (wanted.load() == round && !stop.stop_requested()) __builtin_ia32_pause();
      if (stop.stop_requested()) return;
      loop();
      done = ++round;
    }
  }};
  const auto both = [&] {
    const int round = ++wanted;
    loop();
    while (done.load() != round) __builtin_ia32_pause();
  };
  peers::print_speed_up(given, 2, loop, both);
}
