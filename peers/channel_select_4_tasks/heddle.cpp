#include "../repeat.hpp"

#include <heddle/channel/select.hpp>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>

#include <array>

namespace {

constexpr std::uint64_t each = 100'000;
using queue = heddle::channel<std::uint64_t>;

heddle::task<void> send(queue& to) {
  for (std::uint64_t i = 0; i < each; ++i) (void)co_await to.async_send(i);
}

heddle::task<void> receive(std::array<queue, 4>& queues, std::uint64_t& sum) {
  std::array<heddle::recv_case<std::uint64_t>, 4> cases{heddle::recv_case{queues[0]}, heddle::recv_case{queues[1]},
                                                        heddle::recv_case{queues[2]}, heddle::recv_case{queues[3]}};
  for (std::uint64_t i = 0; i < 4 * each; ++i) {
    sum += *cases[*co_await heddle::async_select({cases[0], cases[1], cases[2], cases[3]})].result();
  }
}

}  // namespace

/// Four tasks send 100,000 items each to a channel of 100 of their own; a fifth selects among the four; on two threads.
int main(int argc, char** argv) {
  heddle::thread_pool pool{{.threads = 2}};
  peers::print_rate(peers::read_options(argc, argv), 4 * each, [&] {
    std::array<queue, 4> queues{queue{100}, queue{100}, queue{100}, queue{100}};
    std::uint64_t sum = 0;
    heddle::sync_wait(heddle::with_scope([&](heddle::scope& scope) -> heddle::task<void> {
      for (queue& q : queues) scope.spawn_on(pool, send(q));
      scope.spawn_on(pool, receive(queues, sum));
      co_return;
    }));
    peers::expect(sum == 4 * each * (each - 1) / 2, "the sum of the items");
  });
}
