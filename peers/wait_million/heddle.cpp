#include "harness.hpp"

#include <heddle/sync/semaphore.hpp>
#include <heddle/task/root.hpp>
#include <heddle/task/run_loop.hpp>
#include <heddle/task/task.hpp>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t waiters = 1'000'000;

struct object {
  heddle::semaphore semaphore{0};
};

heddle::task<void> wait_for(object& own, std::size_t& resumed) {
  (co_await own.semaphore.async_acquire()).use_up();
  ++resumed;
}

}  // namespace

/// A million tasks are suspended, each on a semaphore of its own, and are woken in random order. The value is what one
/// wake costs the waker; `resumed_ns` is what the woken one costs its executor.
int main(int argc, char** argv) {
  (void)peers::read_options(argc, argv);
  heddle::run_loop loop;
  const auto objects = std::make_unique<object[]>(waiters);
  std::size_t resumed = 0;
  std::size_t ended = 0;
  for (std::size_t i = 0; i < waiters; ++i) {
    auto done = [&ended](const heddle::outcome<void>&) noexcept { ++ended; };
    heddle::tasks::make_root(wait_for(objects[i], resumed), done, loop, {}, "waiter").run_here();
  }
  std::vector<std::uint32_t> order(waiters);
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(order.begin(), order.end(), std::mt19937{7});
  const auto start = peers::clock::now();
  for (const std::uint32_t i : order) objects[i].semaphore.release();
  const double waking = peers::seconds_since(start);
  loop.finish();
  loop.run();
  const double resuming = peers::seconds_since(start) - waking;
  if (resumed != waiters || ended != waiters) {
    std::fprintf(stderr, "%zu of %zu waiters went on\n", resumed, waiters);
    return 1;
  }
  std::printf(R"({"value": %.2f, "unit": "ns per wake", "better": "lower", "resumed_ns": %.2f})"
              "\n",
              waking * 1e9 / waiters, resuming * 1e9 / waiters);
}
