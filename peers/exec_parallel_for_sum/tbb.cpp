#include "exec_parallel_for_sum/workload.hpp"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_reduce.h>
#include <oneapi/tbb/task_arena.h>

#include <functional>

int main(int argc, char** argv) {
  const std::vector<std::uint64_t> numbers = peers::many_numbers();
  tbb::task_arena arena{2};
  peers::print_ms(peers::median_ms(peers::read_options(argc, argv), [&] {
    const std::uint64_t sum = arena.execute([&] {
      return tbb::parallel_reduce(
          tbb::blocked_range<std::size_t>{0, numbers.size()}, std::uint64_t{0},
          [&](const tbb::blocked_range<std::size_t>& part, std::uint64_t before) {
            return std::accumulate(&numbers[part.begin()], numbers.data() + part.end(), before);
          },
          std::plus<>{});
    });
    peers::expect(peers::is_sum(sum, numbers.size()), "the sum");
  }));
}
