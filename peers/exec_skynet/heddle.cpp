#include "repeat.hpp"

#include <heddle/exec/thread_pool.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>

#include <array>
#include <numeric>

namespace {

constexpr long leaves = 1'000'000;
constexpr int children = 10;

heddle::task<void> skynet(long first, long size, long& sum) {
  if (size == 1) {
    sum = first;
    co_return;
  }
  std::array<long, children> parts{};
  co_await heddle::with_scope([&parts, first, size](heddle::scope& s) -> heddle::task<void> {
    const long part = size / children;
    for (int i = 0; i < children; ++i) s.spawn(skynet(first + i * part, part, parts[static_cast<std::size_t>(i)]));
    co_return;
  });
  sum = std::accumulate(parts.begin(), parts.end(), 0L);
}

heddle::task<long> whole(heddle::thread_pool& pool) {
  co_await pool.schedule();
  long sum = 0;
  co_await skynet(0, leaves, sum);
  co_return sum;
}

}  // namespace

/// A tree of tasks, each of which starts ten and awaits them, down to a million leaves that add up their numbers.
int main(int argc, char** argv) {
  heddle::thread_pool pool{{.threads = 2}};
  peers::print_ms(peers::median_ms(peers::read_options(argc, argv), [&] {
    peers::expect(heddle::sync_wait(whole(pool)) == leaves * (leaves - 1) / 2, "the sum");
  }));
}
