// Whose turn it is: phases of readers and writers, and tasks whose executor is busy.

#include <heddle/sync/shared_mutex.hpp>

#include <gtest/gtest.h>
#include <tests/support/shared_mutexes.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::another_thread_reads;
using test::expect_free;
using test::loop_thread;
using test::manual_executor;
using test::read_once;
using test::reader;
using test::started;
using test::waited_for;
using test::write_once;
using test::writer;

TEST(shared_mutex, a_writer_waits_for_no_reader_that_came_later) {
  shared_mutex m;
  for (const bool in_slots : {false, true}) {
    reader first{m};
    ASSERT_TRUE(first.gets_in());
    std::optional<reader> beside;
    if (in_slots) {
      beside.emplace(m);
      ASSERT_TRUE(beside->gets_in());
    }
    writer waiting{m};
    ASSERT_TRUE(waited_for(m, 1));
    reader later{m};
    ASSERT_TRUE(waited_for(m, 2));
    EXPECT_FALSE(another_thread_reads(m));
    beside.reset();
    EXPECT_FALSE(waiting.is_in());
    first.leave();
    EXPECT_TRUE(waiting.gets_in());
    EXPECT_FALSE(later.is_in());
    waiting.leave();
    EXPECT_TRUE(later.gets_in());
  }
  expect_free(m);
}

TEST(shared_mutex, readers_wait_for_one_writer_at_most) {
  shared_mutex m;
  writer first{m};
  ASSERT_TRUE(first.gets_in());
  writer second{m};
  ASSERT_TRUE(waited_for(m, 1));
  writer third{m};
  ASSERT_TRUE(waited_for(m, 2));
  reader one{m};
  ASSERT_TRUE(waited_for(m, 3));
  reader two{m};
  ASSERT_TRUE(waited_for(m, 4));
  first.leave();
  EXPECT_TRUE(one.gets_in());
  EXPECT_TRUE(two.gets_in());
  EXPECT_FALSE(second.is_in());
  reader later{m};  // of the next phase
  ASSERT_TRUE(waited_for(m, 3));
  one.leave();
  EXPECT_FALSE(second.is_in());
  two.leave();
  EXPECT_TRUE(second.gets_in());
  EXPECT_FALSE(third.is_in()) << "oldest first";
  EXPECT_FALSE(later.is_in());
  second.leave();
  EXPECT_TRUE(later.gets_in());
  EXPECT_FALSE(third.is_in());
  later.leave();
  EXPECT_TRUE(third.gets_in());
}

TEST(shared_mutex, who_has_waited_for_long_is_let_in_at_once) {
  shared_mutex m;
  {
    std::shared_lock mine{m};
    const writer waiting{m};
    ASSERT_TRUE(waited_for(m, 1));
    ASSERT_TRUE(test::passed(deadline::after(2ms)));
    mine.unlock();
    EXPECT_FALSE(m.try_lock_shared()) << "it was handed over";
    EXPECT_TRUE(waiting.gets_in());
  }
  {
    std::unique_lock mine{m};
    const reader waiting{m};
    ASSERT_TRUE(waited_for(m, 1));
    ASSERT_TRUE(test::passed(deadline::after(2ms)));
    mine.unlock();
    EXPECT_FALSE(m.try_lock()) << "it has its share";
    EXPECT_TRUE(waiting.gets_in());
  }
}

TEST(shared_mutex, tasks_have_their_turn_in_the_same_phases) {
  shared_mutex m;
  std::optional<writer> first{std::in_place, m};
  ASSERT_TRUE(first->gets_in());
  loop_thread loop;
  started<void> second{loop.where(), write_once(m)};
  ASSERT_TRUE(waited_for(m, 1));
  std::optional<writer> third{std::in_place, m};
  ASSERT_TRUE(waited_for(m, 2));
  started<void> reads{loop.where(), read_once(m)};
  ASSERT_TRUE(waited_for(m, 3));
  first.reset();
  EXPECT_TRUE(reads.ends());
  EXPECT_TRUE(second.ends());
  EXPECT_TRUE(third->gets_in());
  third.reset();
  expect_free(m);
}

TEST(shared_mutex, a_writer_gets_its_turn_beside_readers_that_never_rest) {
  shared_mutex m;
  std::atomic<bool> enough{false};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!enough) const std::shared_lock held{m};
    });
  }
  for (int i = 0; i < 200; ++i) const std::lock_guard held{m};
  enough = true;
}

TEST(shared_mutex, a_reader_gets_its_turn_beside_writers_that_never_rest) {
  shared_mutex m;
  std::atomic<bool> enough{false};
  std::vector<std::jthread> writers;
  for (int i = 0; i < 3; ++i) {
    writers.emplace_back([&] {
      while (!enough) const std::lock_guard held{m};
    });
  }
  for (int i = 0; i < 200; ++i) const std::shared_lock held{m};
  enough = true;
}

TEST(shared_mutex, a_busy_executor_does_not_keep_others_out) {
  for (const bool writes : {false, true}) {
    shared_mutex m;
    std::optional<writer> first{std::in_place, m};
    ASSERT_TRUE(first->gets_in());
    manual_executor busy;
    started woken{busy, writes ? write_once(m) : read_once(m)};
    busy.run_all();
    ASSERT_TRUE(waited_for(m, 1));
    std::jthread reads{[&] { const std::shared_lock held{m}; }};
    ASSERT_TRUE(waited_for(m, 2));
    std::jthread behind{[&] { const std::lock_guard held{m}; }};
    ASSERT_TRUE(waited_for(m, 3));
    first.reset();
    reads.join();
    behind.join();
    EXPECT_EQ(busy.pending(), 1U);
    std::jthread{[&] { const std::lock_guard held{m}; }}.join();
    std::jthread{[&] { const std::shared_lock held{m}; }}.join();
    EXPECT_FALSE(woken.has_ended());
    busy.run_all();
    EXPECT_TRUE(woken.has_ended());
    expect_free(m);
  }
}

TEST(shared_mutex, newcomers_wait_for_a_busy_executor_only_a_while) {
  for (const bool writes : {false, true}) {
    shared_mutex m;
    std::optional<writer> first{std::in_place, m};
    ASSERT_TRUE(first->gets_in());
    manual_executor busy;
    started woken{busy, writes ? write_once(m) : read_once(m)};
    busy.run_all();
    ASSERT_TRUE(waited_for(m, 1));
    first.reset();  // nobody stands behind it yet, so nobody minds
    EXPECT_EQ(busy.pending(), 1U);
    {
      loop_thread loop;
      started<void> writes_too{loop.where(), write_once(m)};
      EXPECT_TRUE(writes_too.ends());
    }
    std::jthread{[&] { const std::lock_guard held{m}; }}.join();
    std::jthread{[&] { const std::shared_lock held{m}; }}.join();
    busy.run_all();
    EXPECT_TRUE(woken.has_ended());
    expect_free(m);
  }
}

// The late one waits anew, with its old place, and is counted once.
TEST(shared_mutex, a_promise_that_was_broken_is_not_kept_later) {
  shared_mutex m;
  std::optional<writer> first{std::in_place, m};
  ASSERT_TRUE(first->gets_in());
  manual_executor busy;
  started woken{busy, write_once(m)};
  busy.run_all();
  ASSERT_TRUE(waited_for(m, 1));
  writer second{m};
  ASSERT_TRUE(waited_for(m, 2));
  first.reset();
  ASSERT_TRUE(second.gets_in());
  busy.run_all();  // finds it held
  EXPECT_FALSE(woken.has_ended());
  EXPECT_TRUE(waited_for(m, 1));
  reader reads{m};
  ASSERT_TRUE(waited_for(m, 2));
  second.leave();
  EXPECT_TRUE(reads.gets_in());
  EXPECT_FALSE(another_thread_reads(m)) << "a writer waits";
  reads.leave();
  busy.run_all();
  EXPECT_TRUE(woken.has_ended());
  EXPECT_TRUE(another_thread_reads(m)) << "none waits any more";
  expect_free(m);
}

}  // namespace
}  // namespace heddle
