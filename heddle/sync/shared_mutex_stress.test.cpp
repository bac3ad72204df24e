// shared_mutex under pressure: readers and writers, threads and tasks of several executors, with deadlines, stops,
// executors that block, and destruction right after the last unlock. HEDDLE_STRESS_MS sets how long each test runs.

#include <heddle/sync/shared_mutex.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <random>
#include <shared_mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;

std::chrono::milliseconds stress_time() {
  const char* set = std::getenv("HEDDLE_STRESS_MS");
  return std::chrono::milliseconds{set != nullptr ? std::atoi(set) : 700};
}

/// A source of small random numbers of its own for each user.
class dice {
 public:
  explicit dice(unsigned seed) : engine_{seed} {}
  unsigned below(unsigned n) { return static_cast<unsigned>(engine_() % n); }
  deadline soon() { return deadline::after(std::chrono::microseconds{below(400)}); }

 private:
  std::minstd_rand engine_;
};

/// What the lock protects: plain, so that ThreadSanitizer sees whom it lets in.
struct ledger {
  shared_mutex gate{"shared stress"};
  std::uint64_t left = 0;
  std::uint64_t right = 0;
  std::atomic<int> writers{0};
  std::atomic<int> readers{0};

  void write() {
    EXPECT_EQ(writers.fetch_add(1), 0);
    EXPECT_EQ(readers.load(), 0);
    ++left;
    ++right;
    writers.fetch_sub(1);
  }
  void read() {
    readers.fetch_add(1);
    EXPECT_EQ(writers.load(), 0);
    EXPECT_EQ(left, right);
    readers.fetch_sub(1);
  }
};

/// Shows that somebody gets somewhere. Ends the program, with all waits, when nobody does for as long as only a hang lasts.
class progress {
 public:
  progress()
      : thread_{[this](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            const std::uint64_t before = steps_.load();
            if (!test::eventually([&] { return stop.stop_requested() || steps_.load() != before; })) give_up();
          }
        }} {}
  void step() { steps_.fetch_add(1, std::memory_order_relaxed); }

 private:
  [[noreturn]] static void give_up() {
    for (const park::wait_info& wait : park::snapshot::take().waits) {
      std::fprintf(stderr, "agent %u (%s) waits for %s, %s, written by %u, at %s\n", wait.agent, wait.name.c_str(),
                   wait.resource_name.c_str(), wait.shared ? "to read" : "to write", wait.holder, wait.site.c_str());
    }
    std::fprintf(stderr, "nobody has got anywhere for a long time\n");
    std::abort();
  }
  std::atomic<std::uint64_t> steps_{0};
  std::jthread thread_;
};

void use_in_a_thread(ledger& book, dice& random, const std::stop_token& stop) {
  switch (random.below(8)) {
    case 0: {
      const std::lock_guard held{book.gate};
      return book.write();
    }
    case 1:
      if (const auto held = book.gate.lock_until(random.soon(), stop)) book.write();
      return;
    case 2:
      if (const auto held = book.gate.lock_shared_until(random.soon(), stop)) book.read();
      return;
    case 3:
      if (const std::unique_lock held{book.gate, std::try_to_lock}; held) book.write();
      return;
    case 4:
      if (const std::shared_lock held{book.gate, std::try_to_lock}; held) book.read();
      return;
    default: {
      const std::shared_lock held{book.gate};
      return book.read();
    }
  }
}

task<void> use_in_a_task(ledger& book, dice& random, executor& home, executor& elsewhere) {
  switch (random.below(8)) {
    case 0: {
      const std::unique_lock held = co_await book.gate.async_lock();
      book.write();
      break;
    }
    case 1:
      if (const auto held = co_await book.gate.async_lock_until(random.soon())) book.write();
      break;
    case 2:
      if (const auto held = co_await book.gate.async_lock_shared_until(random.soon())) book.read();
      break;
    case 3: {  // blocks its executor, as a task should not
      const std::lock_guard held{book.gate};
      book.write();
      break;
    }
    case 4: {  // gives back what it has on another thread, which nobody blocks
      {
        const std::shared_lock held = co_await book.gate.async_lock_shared();
        co_await this_task::resume_on(elsewhere);
        book.read();
      }
      co_await this_task::resume_on(home);
      break;
    }
    default: {
      const std::shared_lock held = co_await book.gate.async_lock_shared();
      book.read();
    }
  }
}

task<void> use_until_stopped(ledger& book, dice random, executor& home, executor& elsewhere, progress& seen) {
  for (;;) {
    co_await use_in_a_task(book, random, home, elsewhere);
    seen.step();
    co_await this_task::check_stop();
    if (random.below(4) == 0) co_await this_task::yield();
  }
}

TEST(shared_mutex_stress, excludes_and_strands_nobody_whoever_is_stopped) {
  progress seen;
  const deadline end = deadline::after(stress_time());
  ledger book;
  unsigned round = 0;
  while (!end.has_passed()) {
    ++round;
    test::loop_thread one{"one"};
    test::loop_thread two{"two"};
    test::loop_thread unblocked{"unblocked"};
    std::vector<test::started<void>> tasks;
    for (unsigned i = 0; i < 6; ++i) {
      executor& home = (i % 2 == 0 ? one : two).where();
      tasks.emplace_back(home, use_until_stopped(book, dice{round * 16 + i}, home, unblocked.where(), seen));
    }
    {
      std::vector<std::jthread> threads;
      for (unsigned i = 0; i < 3; ++i) {
        threads.emplace_back([&, random = dice{round * 16 + 8 + i}](const std::stop_token& stop) mutable {
          while (!stop.stop_requested()) {
            use_in_a_thread(book, random, stop);
            seen.step();
          }
        });
      }
      dice random{round};
      for (auto& each : tasks) {  // stopped in the middle of it, each after some others have got somewhere
        const deadline then = random.soon();
        ASSERT_TRUE(test::passed(then));
        each.stop();
      }
      for (const auto& each : tasks) ASSERT_TRUE(each.ends());
    }
    const std::unique_lock free{book.gate, std::try_to_lock};
    ASSERT_TRUE(free.owns_lock());
  }
  EXPECT_GT(round, 0U);
  EXPECT_EQ(book.left, book.right);
  EXPECT_TRUE(test::waits_named("shared stress").empty());
}

struct doomed {
  shared_mutex gate{"shared stress"};
  std::atomic<int> users{4};
};

// Whoever lets go last destroys it at once, whichever way it had held it.
TEST(shared_mutex, may_be_destroyed_right_after_the_last_unlock) {
  constexpr unsigned char rubble = 0xee;
  progress seen;
  const deadline end = deadline::after(stress_time());
  test::loop_thread loop;
  const auto let_go_in_some_way = [](doomed& object, dice random) {
    if (random.below(3) == 0) {
      const std::unique_lock held{object.gate, std::chrono::microseconds{random.below(30)}};
    }
    if (random.below(2) == 0) {
      const std::lock_guard held{object.gate};
      return object.users.fetch_sub(1) == 1;
    }
    const std::shared_lock held{object.gate};
    return object.users.fetch_sub(1) == 1;
  };
  unsigned round = 0;
  while (!end.has_passed()) {
    ++round;
    const auto memory = std::make_unique<unsigned char[]>(sizeof(doomed));
    auto* object = new (memory.get()) doomed;
    std::atomic<bool> over{false};
    const auto finish = [&](bool last) {
      if (!last) return;
      {
        const std::lock_guard after_all_readers{object->gate};
      }
      object->~doomed();
      std::memset(static_cast<void*>(object), rubble, sizeof *object);
      over = true;
    };
    {
      const auto write_as_task = [](doomed& what) -> task<bool> {
        std::unique_lock held = co_await what.gate.async_lock();
        const bool last = what.users.fetch_sub(1) == 1;
        held.unlock();
        co_return last;
      };
      test::started<bool> task{loop.where(), write_as_task(*object)};
      const std::jthread one{[&] { finish(let_go_in_some_way(*object, dice{round * 4})); }};
      const std::jthread other{[&] { finish(let_go_in_some_way(*object, dice{round * 4 + 1})); }};
      finish(let_go_in_some_way(*object, dice{round * 4 + 2}));
      ASSERT_TRUE(task.ends());
      finish(task.value());
    }
    ASSERT_TRUE(over);
    for (std::size_t byte = 0; byte < sizeof(doomed); ++byte) ASSERT_EQ(memory[byte], rubble);
    seen.step();
  }
}

}  // namespace
}  // namespace heddle
