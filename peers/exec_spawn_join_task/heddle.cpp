#include "repeat.hpp"

#include <heddle/exec/thread_pool.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>

namespace {

constexpr std::uint64_t batch = 100'000;
constexpr int together = 100;

heddle::task<void> child() { co_return; }

heddle::task<void> spawn_and_join(heddle::thread_pool& pool) {
  co_await pool.schedule();
  for (std::uint64_t i = 0; i < batch; i += together) {
    co_await heddle::with_scope([](heddle::scope& s) -> heddle::task<void> {
      for (int k = 0; k < together; ++k) s.spawn(child());
      co_return;
    });
  }
}

}  // namespace

/// A task on a pool of two workers starts a hundred tasks that do nothing, and awaits their end; again and again.
int main(int argc, char** argv) {
  heddle::thread_pool pool{{.threads = 2}};
  peers::print_rate(peers::read_options(argc, argv), batch, [&] { heddle::sync_wait(spawn_and_join(pool)); });
}
