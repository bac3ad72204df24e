#include <heddle/task/frame_memory.hpp>

#include <gtest/gtest.h>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/tasks.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <thread>
#include <vector>

namespace heddle {
namespace {

constexpr std::size_t of_one_size = 480;

TEST(frame_memory, what_was_freed_is_used_again) {
  void* const first = tasks::allocate_frame(of_one_size);
  std::memset(first, 1, of_one_size);
  tasks::free_frame(first, of_one_size);
  void* const second = tasks::allocate_frame(of_one_size - 20);
  EXPECT_EQ(second, first);
  std::memset(second, 2, of_one_size - 20);
  tasks::free_frame(second, of_one_size - 20);
}

TEST(frame_memory, sizes_do_not_mix) {
  std::vector<std::pair<unsigned char*, std::size_t>> taken;
  for (std::size_t size = 1; size <= 1'500; size += 7) {
    auto* const memory = static_cast<unsigned char*>(tasks::allocate_frame(size));
    std::memset(memory, static_cast<int>(size % 251), size);
    taken.emplace_back(memory, size);
  }
  for (const auto& [memory, size] : taken) {
    const auto expected = static_cast<unsigned char>(size % 251);
    EXPECT_TRUE(std::all_of(memory, memory + size, [&](unsigned char c) { return c == expected; })) << size;
    tasks::free_frame(memory, size);
  }
}

// More than a thread keeps to itself, so that the rest goes to the others.
std::vector<void*> many(std::size_t count) {
  std::vector<void*> taken;
  for (std::size_t i = 0; i < count; ++i) taken.push_back(tasks::allocate_frame(of_one_size));
  return taken;
}

std::size_t found_again(std::vector<void*> before, const std::vector<void*>& now) {
  std::ranges::sort(before);
  return static_cast<std::size_t>(
      std::ranges::count_if(now, [&](void* each) { return std::ranges::binary_search(before, each); }));
}

TEST(frame_memory, what_one_thread_frees_serves_another) {
  std::vector<void*> here = many(1'000);
  std::thread{[&] {
    for (void* each : here) tasks::free_frame(each, of_one_size);
    std::atomic<std::size_t> found{0};
    std::thread{[&] {
      const std::vector<void*> there = many(500);
      found = found_again(here, there);
      for (void* each : there) tasks::free_frame(each, of_one_size);
    }}.join();
    EXPECT_GE(found.load(), 400U) << "the thread that freed them still lives";
  }}.join();
}

TEST(frame_memory, a_thread_that_ends_leaves_it_to_others) {
  std::vector<void*> there;
  std::thread{[&] {
    there = many(30);
    for (void* each : there) tasks::free_frame(each, of_one_size);
  }}.join();
  const std::vector<void*> here = many(2'000);
  EXPECT_EQ(found_again(there, here), there.size());
  for (void* each : here) tasks::free_frame(each, of_one_size);
}

TEST(frame_memory, goes_between_threads_that_start_and_end_tasks_for_each_other) {
  test::loop_thread one;
  test::loop_thread other;
  const auto open = [](executor& a, executor& b) -> task<int> {
    std::atomic<int> ran{0};
    for (int round = 0; round < 20; ++round) {
      co_await with_scope([&](scope& children) -> task<void> {
        const auto work = [](std::atomic<int>& count) -> task<void> {
          ++count;
          co_return;
        };
        for (int i = 0; i < 100; ++i) children.spawn_on(i % 2 == 0 ? a : b, work(ran));
        co_return;
      });
    }
    co_return ran.load();
  };
  EXPECT_EQ(sync_wait(open(one.where(), other.where())), 2'000);
}

// --- without memory ---

struct too_large {
  std::byte room[tasks::largest_frame];
};

constinit const too_large* seen = nullptr;  // so that it must be kept in the frame

task<int> with_a_frame_too_large(std::shared_ptr<int> kept) {
  too_large kept_over_a_wait;
  seen = &kept_over_a_wait;
  co_await this_task::yield();
  co_return *kept + static_cast<int>(seen->room[0]);
}

TEST(frame_memory, without_memory_for_a_frame_the_call_throws) {
  const auto kept = std::make_shared<int>(4);
  const auto calls = [](std::shared_ptr<int> given) -> task<int> {
    bool refused = false;
    try {
      (void)co_await with_a_frame_too_large(given);
    } catch (const std::bad_alloc&) {
      refused = true;
    }
    EXPECT_TRUE(refused);
    EXPECT_EQ(given.use_count(), 2) << "the arguments are destroyed";
    co_return *given;  // and the caller goes on
  };
  EXPECT_EQ(sync_wait(calls(kept)), 4);
}

TEST(frame_memory, without_memory_for_a_child_the_scope_goes_on) {
  const auto open = []() -> task<bool> {
    int ran = 0;
    bool refused = false;
    const auto child = [](int& count) -> task<void> {
      ++count;
      co_return;
    };
    co_await with_scope([&](scope& children) -> task<void> {
      children.spawn(child(ran));
      try {
        children.spawn(with_a_frame_too_large(std::make_shared<int>(1)));
      } catch (const std::bad_alloc&) {
        refused = true;
      }
      children.spawn(child(ran));
      co_return;
    });
    co_return refused&& ran == 2;
  };
  EXPECT_TRUE(sync_wait(open()));
}

}  // namespace
}  // namespace heddle
