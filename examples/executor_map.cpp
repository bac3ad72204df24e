// A thread pool maps a function over a range: the answers come by futures, in order.

#include <heddle/exec/thread_pool.hpp>

#include <fmt/core.h>

#include <vector>

// [executor_map]
long square(long number) { return number * number; }

std::vector<long> map_squares(heddle::thread_pool& pool, long count) {
  std::vector<heddle::future<long>> answers;
  answers.reserve(static_cast<std::size_t>(count));
  for (long i = 1; i <= count; ++i) answers.push_back(pool.submit(square, i));
  std::vector<long> squares;
  squares.reserve(answers.size());
  for (auto& answer : answers) squares.push_back(answer.get());
  return squares;
}
// [/executor_map]

int main() {
  heddle::thread_pool pool{{.threads = 4, .name = "squares"}};
  constexpr long count = 1'000;
  long sum = 0;
  for (const long square : map_squares(pool, count)) sum += square;
  constexpr long expected = count * (count + 1) * (2 * count + 1) / 6;
  fmt::print("pool: {} jobs on {} threads, sum of squares {} (expected {})\n", count, pool.threads(), sum, expected);
  return sum == expected ? 0 : 1;
}
