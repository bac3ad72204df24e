// A thread pool divides work: both halves of a sum, all rounds of a loop, urgent jobs before the others.

#include <heddle/exec/thread_pool.hpp>
#include <heddle/park/blocking_region.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <thread>
#include <vector>

namespace {

// [fork_join]
std::uint64_t sum(heddle::thread_pool& pool, std::span<const int> numbers) {
  if (numbers.size() < 1'000) return std::accumulate(numbers.begin(), numbers.end(), std::uint64_t{0});
  const std::size_t middle = numbers.size() / 2;
  const auto [left, right] = pool.fork_join([&] { return sum(pool, numbers.first(middle)); },
                                            [&] { return sum(pool, numbers.subspan(middle)); });
  return left + right;
}
// [/fork_join]

// [bulk]
void double_all(heddle::thread_pool& pool, std::vector<int>& numbers) {
  pool.bulk(numbers.size(), [&](std::size_t i) { numbers[i] *= 2; });
}

std::vector<bool> which_are_even(heddle::thread_pool& pool, const std::vector<int>& numbers) {
  return pool.map(numbers, [](int n) { return n % 2 == 0; });
}
// [/bulk]

// [priority]
int first_things_first(heddle::thread_pool& pool) {
  auto report = pool.submit(heddle::priority::low, [] { return 1; });
  auto payment = pool.submit(heddle::priority::high, [] { return 2; });
  return payment.get() + report.get();
}
// [/priority]

// [full]
bool turned_away(heddle::thread_pool& pool) {
  auto answer = pool.submit([] {});
  try {
    answer.get();
  } catch (const heddle::job_refused& refused) {
    return refused.why() == heddle::job_refused::reason::full;
  }
  return false;
}
// [/full]

// [blocking]
template <class ForeignCall>
auto call_outside(ForeignCall call) {
  const heddle::blocking_region region;  // meanwhile another thread works in this one's place
  return call();
}
// [/blocking]

// [shutdown]
heddle::thread_pool_rest shut_down(heddle::thread_pool& pool) {
  pool.close();  // from now on jobs are refused
  const heddle::thread_pool_rest left = pool.drain_until(heddle::deadline::after(std::chrono::seconds(5)));
  if (!left.empty()) pool.abandon();  // what has not begun is answered with job_refused
  return left;
}
// [/shutdown]

}  // namespace

int main() {
  heddle::thread_pool pool{{.threads = 2, .name = "divide"}};
  std::vector<int> numbers(100'000);
  std::ranges::fill(numbers, 1);
  double_all(pool, numbers);
  const std::vector<bool> even = which_are_even(pool, numbers);
  const bool all_even = std::ranges::find(even, false) == even.end();
  const std::uint64_t total = sum(pool, numbers);
  const int answers = first_things_first(pool) + call_outside([] { return 1; });

  heddle::thread_pool strict{
      {.threads = 1, .queue_capacity = 1, .on_full = heddle::when_full::reject, .spare_threads = 0}};
  heddle::promise<void> hold;
  std::vector<heddle::future<void>> before;
  before.push_back(strict.submit([held = hold.get_future()]() mutable { held.get(); }));
  while (strict.stats().blocked != 1) std::this_thread::yield();
  before.push_back(strict.submit([] {}));
  const bool refused = turned_away(strict);
  hold.set_value();
  for (auto& each : before) each.get();

  const bool left_empty = shut_down(pool).empty();
  fmt::print("divide: {} numbers doubled and added up to {}, a full queue refused one job, {} was left at the end\n",
             numbers.size(), total, left_empty ? "nothing" : "something");
  return total == 200'000 && all_even && answers == 4 && refused && left_empty ? 0 : 1;
}
