#include <heddle/sys/barrier.hpp>

#include <gtest/gtest.h>
#include <heddle/sys/compiler.hpp>

#include <atomic>
#include <thread>

namespace {

using namespace heddle;

// Two threads in lockstep: each writes its own word, passes its barrier and reads the other's. That both read the old
// value is what a store buffer does without barriers.
TEST(barrier, one_of_two_sees_the_other) {
  sys::prepare_barriers();
  constexpr unsigned rounds = sys::under_tsan ? 2'000 : 20'000;
  struct alignas(64) word {
    std::atomic<unsigned> value{0};
  };
  word x;
  word y;
  word ready[2];
  unsigned read_by_light = 0;
  word read_by_heavy;
  const auto meet = [&](unsigned me, unsigned round) {
    ready[me].value.store(round);
    while (ready[1 - me].value.load() < round) std::this_thread::yield();
  };
  std::thread heavy{[&] {
    for (unsigned round = 1; round <= rounds; ++round) {
      meet(1, 2 * round - 1);
      y.value.store(round, std::memory_order_relaxed);
      sys::heavy_barrier();
      read_by_heavy.value.store(x.value.load(std::memory_order_relaxed), std::memory_order_relaxed);
      meet(1, 2 * round);
    }
  }};
  unsigned failures = 0;
  for (unsigned round = 1; round <= rounds; ++round) {
    meet(0, 2 * round - 1);
    x.value.store(round, std::memory_order_relaxed);
    sys::light_barrier();
    read_by_light = y.value.load(std::memory_order_relaxed);
    meet(0, 2 * round);
    if (read_by_light != round && read_by_heavy.value.load(std::memory_order_relaxed) != round) ++failures;
  }
  heavy.join();
  EXPECT_EQ(failures, 0U);
}

}  // namespace
