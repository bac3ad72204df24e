#include "../repeat.hpp"

#include <heddle/channel/channel.hpp>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>

namespace {

constexpr int rounds = 100'000;
using rendezvous = heddle::channel<int>;

heddle::task<void> ping(rendezvous& there, rendezvous& back) {
  for (int i = 0; i < rounds; ++i) {
    (void)co_await there.async_send(i);
    peers::expect(*co_await back.async_recv() == i, "the answer");
  }
}

heddle::task<void> pong(rendezvous& there, rendezvous& back) {
  for (int i = 0; i < rounds; ++i) (void)co_await back.async_send(*co_await there.async_recv());
}

}  // namespace

/// Two tasks on two threads send an item there and back; an operation is a round trip.
int main(int argc, char** argv) {
  heddle::thread_pool pool{{.threads = 2}};
  peers::print_rate(peers::read_options(argc, argv), rounds, [&] {
    rendezvous there{heddle::rendezvous};
    rendezvous back{heddle::rendezvous};
    heddle::sync_wait(heddle::with_scope([&](heddle::scope& scope) -> heddle::task<void> {
      scope.spawn_on(pool, ping(there, back));
      scope.spawn_on(pool, pong(there, back));
      co_return;
    }));
  });
}
