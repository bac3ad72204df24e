#include "harness.hpp"

#include <boost/fiber/algo/work_stealing.hpp>
#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/mutex.hpp>
#include <boost/fiber/operations.hpp>
#include <mutex>
#include <thread>
#include <vector>

namespace {

constexpr int fibers = 1000;
constexpr int locks_of_each = 200;

struct alignas(64) state {
  boost::fibers::mutex mutex;
  std::uint64_t inside = 88172645463325252U;
  std::uint64_t operations = 0;
};

void lock_often(state& shared, std::uint64_t outside) {
  for (int i = 0; i < locks_of_each; ++i) {
    {
      const std::lock_guard lock{shared.mutex};
      peers::work(shared.inside, 20);
      ++shared.operations;
    }
    peers::work(outside, 80);
  }
}

}  // namespace

/// A thousand fibers on two threads lock one mutex 200 times each; the value is the rate until the last has ended.
int main(int argc, char** argv) {
  const peers::options given = peers::read_options(argc, argv);
  boost::fibers::mutex end_mutex;
  boost::fibers::condition_variable_any end;
  bool over = false;
  std::thread second([&] {
    boost::fibers::use_scheduling_algorithm<boost::fibers::algo::work_stealing>(2U);
    std::unique_lock lock{end_mutex};
    end.wait(lock, [&] { return over; });
  });
  boost::fibers::use_scheduling_algorithm<boost::fibers::algo::work_stealing>(2U);
  state shared;
  const auto start = peers::clock::now();
  double elapsed = 0;
  std::uint64_t operations = 0;
  do {
    std::vector<boost::fibers::fiber> running;
    running.reserve(fibers);
    for (std::uint64_t i = 0; i < fibers; ++i) {
      running.emplace_back([&shared, i] { lock_often(shared, 2685821657736338717U + i); });
    }
    for (auto& fiber : running) fiber.join();
    operations += std::uint64_t{fibers} * locks_of_each;
    elapsed = peers::seconds_since(start);
  } while (elapsed < given.seconds);
  {
    const std::lock_guard lock{end_mutex};
    over = true;
  }
  end.notify_all();
  second.join();
  if (shared.operations != operations) {
    std::fprintf(stderr, "the lock did not exclude\n");
    return 1;
  }
  std::printf(R"({"value": %.4f, "unit": "M ops/s", "better": "higher", "ns_per_op": %.3f})"
              "\n",
              static_cast<double>(operations) / elapsed / 1e6, elapsed * 1e9 / static_cast<double>(operations));
}
