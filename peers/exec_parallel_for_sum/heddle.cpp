#include "exec_parallel_for_sum/workload.hpp"

#include <heddle/exec/thread_pool.hpp>

#include <atomic>

/// The sum of an array, in ranges that two workers share out among themselves.
int main(int argc, char** argv) {
  const std::vector<std::uint64_t> numbers = peers::many_numbers();
  heddle::thread_pool pool{{.threads = 2}};
  peers::print_ms(peers::median_ms(peers::read_options(argc, argv), [&] {
    std::atomic<std::uint64_t> sum{0};
    pool.bulk(numbers.size(), [&](std::size_t from, std::size_t to) {
      sum.fetch_add(std::accumulate(&numbers[from], numbers.data() + to, std::uint64_t{0}), std::memory_order_relaxed);
    });
    peers::expect(peers::is_sum(sum.load(), numbers.size()), "the sum");
  }));
}
