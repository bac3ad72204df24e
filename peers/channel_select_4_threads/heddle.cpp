#include "../repeat.hpp"

#include <heddle/channel/select.hpp>

#include <array>
#include <thread>
#include <vector>

/// Four threads send 100,000 items each to a channel of 100 of their own; a fifth selects among the four.
int main(int argc, char** argv) {
  constexpr std::uint64_t each = 100'000;
  using queue = heddle::channel<std::uint64_t>;
  peers::print_rate(peers::read_options(argc, argv), 4 * each, [] {
    std::array<queue, 4> queues{queue{100}, queue{100}, queue{100}, queue{100}};
    std::vector<std::thread> senders;
    senders.reserve(queues.size());
    for (queue& q : queues) {
      senders.emplace_back([&q] {
        for (std::uint64_t i = 0; i < each; ++i) (void)q.send(i);
      });
    }
    std::array<heddle::recv_case<std::uint64_t>, 4> cases{heddle::recv_case{queues[0]}, heddle::recv_case{queues[1]},
                                                          heddle::recv_case{queues[2]}, heddle::recv_case{queues[3]}};
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < 4 * each; ++i) {
      sum += *cases[*heddle::select({cases[0], cases[1], cases[2], cases[3]})].result();
    }
    for (std::thread& sender : senders) sender.join();
    peers::expect(sum == 4 * each * (each - 1) / 2, "the sum of the items");
  });
}
