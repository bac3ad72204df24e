// A race: two threads read, add one and write back. Then the same with guarded, which cannot be reached without its lock.

#include <heddle/sync/guarded.hpp>

#include <fmt/core.h>

#include <atomic>
#include <latch>
#include <thread>

constexpr int times = 1'000'000;

// Atomic only so that the program is defined at all: reading and writing are two steps, and the other thread comes between.
std::atomic<int> unguarded{0};

void increment_unguarded() {
  for (int i = 0; i < times; ++i) unguarded.store(unguarded.load() + 1);
}

// [increment]
heddle::guarded<int> counter{0, "counter"};

void increment() {
  for (int i = 0; i < times; ++i) counter.with([](int& value) { ++value; });
}
// [/increment]

template <class Work>
void by_two_threads(Work work) {
  std::latch start{2};
  const auto run = [&] {
    start.arrive_and_wait();
    work();
  };
  std::thread other{run};
  run();
  other.join();
}

int main() {
  by_two_threads(increment_unguarded);
  by_two_threads(increment);
  const int value = *counter.lock();
  fmt::print("race: two threads, {} increments expected, {} got; guarded: {} got\n", 2 * times, unguarded.load(),
             value);
  return value == 2 * times ? 0 : 1;
}
