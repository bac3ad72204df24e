#include "../repeat.hpp"

#include <heddle/channel/channel.hpp>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>

#include <atomic>

namespace {

constexpr std::uint64_t items = 1'000'000;

heddle::task<void> send(heddle::channel<std::uint64_t>& to, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) (void)co_await to.async_send(i);
}

heddle::task<void> receive(heddle::channel<std::uint64_t>& from, std::uint64_t count,
                           std::atomic<std::uint64_t>& total) {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < count; ++i) sum += *co_await from.async_recv();
  total += sum;
}

}  // namespace

/// As many senders as receivers, tasks on two threads, share out a million items through one channel of 100.
int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  const auto pairs = static_cast<std::uint64_t>(given.threads);
  heddle::thread_pool pool{{.threads = 2}};
  peers::print_rate(given, items, [&] {
    heddle::channel<std::uint64_t> c{heddle::bounded(100)};
    std::atomic<std::uint64_t> sum{0};
    heddle::sync_wait(heddle::with_scope([&](heddle::scope& scope) -> heddle::task<void> {
      for (std::uint64_t i = 0; i < pairs; ++i) {
        scope.spawn_on(pool, send(c, items / pairs));
        scope.spawn_on(pool, receive(c, items / pairs, sum));
      }
      co_return;
    }));
    peers::expect(sum == pairs * (items / pairs) * (items / pairs - 1) / 2, "the sum of the items");
  });
}
