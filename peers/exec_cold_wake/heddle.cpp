#include "exec_cold_wake/workload.hpp"

#include <heddle/exec/thread_pool.hpp>

/// A job for a pool that sleeps, and its answer.
int main(int argc, char** argv) {
  heddle::thread_pool pool{{.threads = 2}};
  peers::print_cold_wake(peers::read_options(argc, argv), [&] { pool.submit([] {}).get(); });
}
