// Many readers or one writer, with a semaphore: a reader takes one permit, a writer takes them all.

#include <heddle/sync/semaphore.hpp>

#include <fmt/core.h>

#include <atomic>
#include <thread>
#include <vector>

// [read_write]
constexpr unsigned readers = 4;
heddle::semaphore gate{readers, "gate"};
int first_half = 0;
int second_half = 0;

bool read_data() {
  const auto permit = gate.acquire();
  return first_half == second_half;
}

void write_data(int value) {
  const auto all = gate.acquire(readers);
  first_half = value;
  second_half = value;
}
// [/read_write]

int main() {
  std::atomic<int> reads{0};
  std::atomic<int> torn{0};
  std::vector<std::thread> threads;
  threads.reserve(readers + 1);
  for (unsigned i = 0; i < readers; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 2'000; ++n, ++reads) torn += read_data() ? 0 : 1;
    });
  }
  threads.emplace_back([&] {
    for (int value = 1; value <= 500; ++value) write_data(value);
  });
  for (auto& thread : threads) thread.join();
  fmt::print("readers and writer: {} reads beside {} writes, {} torn\n", reads.load(), second_half, torn.load());
  return torn == 0 && second_half == 500 ? 0 : 1;
}
