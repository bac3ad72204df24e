#include "harness.hpp"

#include <heddle/exec/thread_pool.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>

namespace {

constexpr int tasks = 1000;
constexpr int locks_of_each = 200;

struct alignas(64) state {
  heddle::mutex mutex;
  std::uint64_t inside = 88172645463325252U;
  std::uint64_t operations = 0;
};

heddle::task<void> lock_often(state& shared, std::uint64_t outside) {
  for (int i = 0; i < locks_of_each; ++i) {
    {
      const std::unique_lock lock = co_await shared.mutex.async_lock();
      peers::work(shared.inside, 20);
      ++shared.operations;
    }
    peers::work(outside, 80);
  }
}

}  // namespace

/// A thousand tasks on two threads lock one mutex 200 times each; the value is the rate until the last has ended.
int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  heddle::thread_pool pool{{.threads = 2}};
  state shared;
  const auto start = peers::clock::now();
  double elapsed = 0;
  std::uint64_t operations = 0;
  do {
    heddle::sync_wait(heddle::with_scope([&](heddle::scope& scope) -> heddle::task<void> {
      for (std::uint64_t i = 0; i < tasks; ++i) scope.spawn_on(pool, lock_often(shared, 2685821657736338717U + i));
      co_return;
    }));
    operations += std::uint64_t{tasks} * locks_of_each;
    elapsed = peers::seconds_since(start);
  } while (elapsed < given.seconds);
  if (shared.operations != operations) {
    std::fprintf(stderr, "the lock did not exclude\n");
    return 1;
  }
  std::printf(R"({"value": %.4f, "unit": "M ops/s", "better": "higher", "ns_per_op": %.3f})"
              "\n",
              static_cast<double>(operations) / elapsed / 1e6, elapsed * 1e9 / static_cast<double>(operations));
}
