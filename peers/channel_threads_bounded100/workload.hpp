#pragma once

#include "../repeat.hpp"

#include <thread>
#include <vector>

namespace peers {

/// As many senders as receivers, which share out 400,000 items among them through one queue of 100: the rate of items,
/// with the start of the threads. `make()` gives the queue, `send(queue, item)` and `receive(queue)` use it.
template <class Make, class Send, class Receive>
int run_queue(int argc, char** argv, Make make, Send send, Receive receive) {
  constexpr std::uint64_t items = 400'000;
  const options given = read_options(argc, argv);
  const auto pairs = static_cast<std::uint64_t>(given.threads);
  print_rate(given, items, [&] {
    auto queue = make();
    std::vector<std::uint64_t> sums(pairs);
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < pairs; ++t) {
      threads.emplace_back([&] {
        for (std::uint64_t i = 0; i < items / pairs; ++i) send(*queue, i);
      });
      threads.emplace_back([&, t] {
        std::uint64_t sum = 0;
        for (std::uint64_t i = 0; i < items / pairs; ++i) sum += receive(*queue);
        sums[t] = sum;
      });
    }
    for (std::thread& thread : threads) thread.join();
    std::uint64_t sum = 0;
    for (const std::uint64_t each : sums) sum += each;
    expect(sum == pairs * (items / pairs) * (items / pairs - 1) / 2, "the sum of the items");
  });
  return 0;
}

}  // namespace peers
