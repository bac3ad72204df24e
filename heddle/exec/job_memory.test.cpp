#include <gtest/gtest.h>
#include <heddle/exec/job_memory.hpp>
#include <heddle/sys/compiler.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace {

using namespace heddle;

TEST(job_memory, blocks_wander_between_threads) {
  constexpr std::size_t count = 1'000;
  std::vector<void*> taken;
  std::thread{[&] {
    for (std::size_t i = 0; i < count; ++i) {
      taken.push_back(pools::take_block(48));
      std::memset(taken.back(), 0x5a, 48);
    }
  }}.join();
  EXPECT_EQ(std::set<void*>(taken.begin(), taken.end()).size(), count);
  std::size_t used_again = 0;
  std::thread{[&] {
    const std::set<void*> before(taken.begin(), taken.end());
    for (void* each : taken) pools::give_block_back(each, 48);
    std::thread{[&] {  // a third thread, while the second still lives: the depot is all that they share
      std::vector<void*> more;
      for (std::size_t i = 0; i < count; ++i) more.push_back(pools::take_block(64));
      used_again = static_cast<std::size_t>(
          std::count_if(more.begin(), more.end(), [&](void* b) { return before.contains(b); }));
      for (void* each : more) pools::give_block_back(each, 64);
    }}
        .join();
  }}.join();
  if (!sys::under_asan) {
    EXPECT_GE(used_again, count - 3 * 64);
  }
}

TEST(job_memory, large_ones_are_served_too) {
  for (const std::size_t size : {1U, 64U, 65U, 128U, 129U, 4096U}) {
    void* const block = pools::take_block(size);
    std::memset(block, 1, size);
    pools::give_block_back(block, size);
  }
}

struct alignas(256) wide : pools::in_job_memory {
  char text[256];
};

TEST(job_memory, keeps_a_wide_alignment) {
  const std::unique_ptr<wide> one{new wide{}};
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(one.get()) % 256, 0U);
}

}  // namespace
