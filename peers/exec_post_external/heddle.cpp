#include "repeat.hpp"

#include <heddle/exec/thread_pool.hpp>

/// One outside thread posts empty functions to a pool of two workers, and waits until all have run.
int main(int argc, char** argv) {
  constexpr std::uint64_t batch = 200'000;
  heddle::thread_pool pool{{.threads = 2}};
  peers::print_rate(peers::read_options(argc, argv), batch, [&] {
    for (std::uint64_t i = 0; i < batch; ++i) pool.post([] {});
    (void)pool.drain_until({});
  });
}
