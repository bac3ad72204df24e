#include <heddle/sync/shared_mutex.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/internal/reader_slots.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/shared_mutexes.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <source_location>
#include <string>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::another_thread_reads;
using test::another_thread_writes;
using test::eventually;
using test::expect_free;
using test::loop_thread;
using test::read_once;
using test::read_until_once;
using test::reader;
using test::started;
using test::waited_for;
using test::write_once;
using test::write_until_once;
using test::writer;

static_assert(sizeof(shared_mutex) <= 32);
constinit shared_mutex made_at_compile_time{"constinit"};

TEST(shared_mutex, a_writer_excludes_everybody) {
  constexpr int rounds = 3'000;
  shared_mutex m;
  int count = 0;  // plain
  int copy = 0;   // plain: differs from count only under the lock
  {
    std::vector<std::jthread> running;
    for (int t = 0; t < 2; ++t) {
      running.emplace_back([&] {
        for (int i = 0; i < rounds; ++i) {
          const std::lock_guard held{m};
          ++count;
          ++copy;
        }
      });
      running.emplace_back([&] {
        for (int i = 0; i < rounds; ++i) {
          const std::shared_lock held{m};
          EXPECT_EQ(count, copy);
        }
      });
    }
  }
  EXPECT_EQ(count, 2 * rounds);
  expect_free(m);
}

TEST(shared_mutex, readers_share_it) {
  shared_mutex m;
  const std::shared_lock mine{m};
  reader one{m};
  reader two{m};
  EXPECT_TRUE(one.gets_in());
  EXPECT_TRUE(two.gets_in());
  EXPECT_EQ(m.holder(), 0U);
  EXPECT_FALSE(another_thread_writes(m));
  EXPECT_TRUE(another_thread_reads(m));
}

TEST(shared_mutex, threads_and_tasks_exclude_each_other) {
  constexpr int rounds = 1'000;
  shared_mutex m;
  int count = 0;
  const auto write = [](shared_mutex& lock, int& plain) -> task<void> {
    for (int i = 0; i < rounds; ++i) {
      const std::unique_lock held = co_await lock.async_lock();
      ++plain;
    }
  };
  const auto read = [](shared_mutex& lock, const int& plain) -> task<void> {
    for (int i = 0; i < rounds; ++i) {
      const std::shared_lock held = co_await lock.async_lock_shared();
      const int before = plain;
      if (i % 8 == 0) co_await this_task::yield();
      EXPECT_EQ(plain, before);
    }
  };
  {
    loop_thread one;
    loop_thread other;
    std::vector<started<void>> tasks;
    for (executor* where : {&one.where(), &other.where()}) {
      tasks.emplace_back(*where, write(m, count));
      tasks.emplace_back(*where, read(m, count));
      tasks.emplace_back(*where, read(m, count));
    }
    for (int i = 0; i < rounds; ++i) {
      const std::lock_guard held{m};
      ++count;
    }
    for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  }
  EXPECT_EQ(count, 3 * rounds);
  expect_free(m);
}

// Nobody waits, and the flag orders nothing: only the lock does.
TEST(shared_mutex, what_was_done_under_it_is_seen_under_it) {
  (void)current_agent().id();
  shared_mutex m;
  alignas(64) int plain = 0;
  std::atomic<int> done{0};
  const auto after = [&](int step) {
    ASSERT_TRUE(eventually([&] { return done.load(std::memory_order_relaxed) == step; }));
  };
  const std::jthread writes{[&] {
    {
      const std::lock_guard held{m};
      plain = 1;
    }
    done.store(1, std::memory_order_relaxed);
  }};
  after(1);
  {
    const std::shared_lock held{m};
    EXPECT_EQ(plain, 1);
    const std::jthread reads{[&] {  // the second reader, in a slot
      {
        const std::shared_lock too{m};
        EXPECT_EQ(plain, 1);
      }
      done.store(2, std::memory_order_relaxed);
    }};
    after(2);
  }
  const std::jthread writes_again{[&] {
    {
      const std::lock_guard held{m};
      plain = 2;
    }
    done.store(3, std::memory_order_relaxed);
  }};
  after(3);
  const std::lock_guard held{m};
  EXPECT_EQ(plain, 2);
}

TEST(shared_mutex, readers_that_come_together_leave_the_word_alone) {
  shared_mutex m;
  reader first{m};
  ASSERT_TRUE(first.gets_in());
  EXPECT_FALSE(sync::reader_slots::any(&m)) << "one reader alone is counted in the word";
  reader second{m};
  ASSERT_TRUE(second.gets_in());
  EXPECT_TRUE(sync::reader_slots::any(&m));
  {
    const std::jthread waiting{[&] { const std::lock_guard held{m}; }};
    ASSERT_TRUE(waited_for(m));
    EXPECT_FALSE(sync::reader_slots::any(&m)) << "a writer that waits has moved it into the word";
    first.leave();
    EXPECT_FALSE(m.try_lock()) << "and counts it there";
    second.leave();
  }
  expect_free(m);
}

TEST(shared_mutex, one_that_reads_often_leaves_the_word_alone) {
  shared_mutex m;
  const auto reads_in_a_slot = [&] {
    const std::shared_lock held{m};
    return sync::reader_slots::any(&m);
  };
  EXPECT_FALSE(reads_in_a_slot());
  for (int reads = 0; !reads_in_a_slot(); ++reads) ASSERT_LT(reads, 10'000);
  const auto writes = [&] { const std::lock_guard held{m}; };
  for (int pairs = 0; reads_in_a_slot(); ++pairs) {
    ASSERT_LT(pairs, 10'000) << "writers that meet nobody end it";
    writes();
  }
  expect_free(m);
}

TEST(shared_mutex, many_readers_find_room) {
  shared_mutex m;
  shared_mutex other;
  constexpr int depth = 5;
  std::vector<std::shared_lock<shared_mutex>> held;
  for (int i = 0; i < depth; ++i) held.emplace_back(m);
  for (int i = 0; i < depth; ++i) held.emplace_back(other);
  EXPECT_FALSE(another_thread_writes(m));
  EXPECT_FALSE(another_thread_writes(other));
  held.clear();
  expect_free(m);
  expect_free(other);
}

TEST(shared_mutex, a_task_gives_its_share_back_on_another_thread) {
  shared_mutex m;
  const std::shared_lock mine{m};  // so that the task is the second one
  loop_thread one;
  loop_thread other;
  const auto travel = [](shared_mutex& lock, executor& there, std::thread::id from, std::thread::id to) -> task<bool> {
    std::shared_lock held = co_await lock.async_lock_shared();
    bool right = std::this_thread::get_id() == from && sync::reader_slots::any(&lock);
    co_await this_task::resume_on(there);
    right = right && std::this_thread::get_id() == to;
    held.unlock();
    co_return right && !sync::reader_slots::any(&lock);
  };
  started task{one.where(), travel(m, other.where(), one.id(), other.id())};
  ASSERT_TRUE(task.ends());
  EXPECT_TRUE(task.value());
}

TEST(shared_mutex, trying_never_waits) {
  shared_mutex m;
  {
    writer one{m};
    ASSERT_TRUE(one.gets_in());
    EXPECT_FALSE(m.try_lock());
    EXPECT_FALSE(m.try_lock_shared());
  }
  {
    reader one{m};
    ASSERT_TRUE(one.gets_in());
    EXPECT_FALSE(m.try_lock());
    const std::shared_lock too{m, std::try_to_lock};
    EXPECT_TRUE(too.owns_lock());
  }
  expect_free(m);
}

TEST(shared_mutex, its_holder_cannot_try_it_again) {
  shared_mutex m;
  {
    const std::lock_guard mine{m};
    EXPECT_TRUE(m.held_by_me());
    EXPECT_EQ(m.holder(), current_agent().id());
    EXPECT_FALSE(m.try_lock());
    EXPECT_FALSE(m.try_lock_shared());
    EXPECT_FALSE(m.try_lock_for(1ms));
    EXPECT_FALSE(m.try_lock_shared_for(1ms));
  }
  const std::shared_lock mine{m};
  EXPECT_FALSE(m.held_by_me());
  EXPECT_FALSE(m.try_lock());
  EXPECT_FALSE(m.try_lock_until(std::chrono::system_clock::now() + 1ms));
}

TEST(shared_mutex, a_reader_may_read_again_while_nobody_writes) {
  shared_mutex m;
  const std::uint32_t held_before = current_agent().held();
  std::shared_lock one{m};
  std::shared_lock two{m};
  std::shared_lock three{m};
  EXPECT_EQ(current_agent().held(), held_before + 3);
  EXPECT_EQ(current_agent().holds().at(held_before).how.mode(), park::hold_mode::shared);
  two.unlock();
  one.unlock();
  EXPECT_FALSE(another_thread_writes(m));
  three.unlock();
  EXPECT_EQ(current_agent().held(), held_before);
  expect_free(m);
}

TEST(shared_mutex, a_free_lock_is_taken_even_late) {
  shared_mutex m;
  std::stop_source stop;
  stop.request_stop();
  const auto late = deadline::after(-1s);
  for (int round = 0; round < 2; ++round) {  // the second time, readers have been using slots
    EXPECT_TRUE(m.lock_until(late));
    EXPECT_TRUE(m.lock_shared_until(late));
    EXPECT_TRUE(m.lock_until({}, stop.get_token()));
    EXPECT_TRUE(m.lock_shared_until({}, stop.get_token()));
    EXPECT_TRUE(sync_wait(write_until_once(m, late, stop.get_token())));
    EXPECT_TRUE(sync_wait(read_until_once(m, late, stop.get_token())));
    const std::shared_lock one{m};
    EXPECT_TRUE(another_thread_reads(m));
  }
  EXPECT_TRUE(m.lock_until(late));
  expect_free(m);
}

TEST(shared_mutex, a_held_lock_is_refused_at_once_when_late) {
  shared_mutex m;
  const std::lock_guard held{m};
  std::stop_source stop;
  stop.request_stop();
  std::jthread{[&] {
    const auto late = deadline::after(-1s);
    EXPECT_EQ(m.lock_until(late).error(), wait_error::timeout);
    EXPECT_EQ(m.lock_shared_until(late).error(), wait_error::timeout);
    EXPECT_EQ(m.lock_until({}, stop.get_token()).error(), wait_error::stopped);
    EXPECT_EQ(m.lock_shared_until({}, stop.get_token()).error(), wait_error::stopped);
    EXPECT_EQ(sync_wait(write_until_once(m, late)), std::unexpected{wait_error::timeout});
    EXPECT_EQ(sync_wait(read_until_once(m, {}, stop.get_token())), std::unexpected{wait_error::stopped});
    EXPECT_TRUE(sync_wait_outcome(read_once(m), {stop.get_token(), {}}).is_stopped());
  }}.join();
}

TEST(shared_mutex, a_writer_that_gives_up_lets_the_readers_in) {
  shared_mutex m;
  reader first{m};
  ASSERT_TRUE(first.gets_in());
  std::stop_source stop;
  std::jthread gives_up{[&] { EXPECT_EQ(m.lock_until({}, stop.get_token()).error(), wait_error::stopped); }};
  ASSERT_TRUE(waited_for(m, 1));
  reader second{m};
  ASSERT_TRUE(waited_for(m, 2));
  EXPECT_FALSE(another_thread_reads(m)) << "a writer waits";
  loop_thread loop;
  started<void> third{loop.where(), read_once(m)};
  ASSERT_TRUE(waited_for(m, 3));
  stop.request_stop();
  EXPECT_TRUE(second.gets_in());
  EXPECT_TRUE(third.ends());
  gives_up.join();
  EXPECT_TRUE(another_thread_reads(m));
  first.leave();
  second.leave();
  expect_free(m);
}

TEST(shared_mutex, a_reader_that_gives_up_leaves_nothing_behind) {
  shared_mutex m;
  writer first{m};
  ASSERT_TRUE(first.gets_in());
  const deadline until = deadline::after(5ms);
  std::jthread{[&] {
    EXPECT_EQ(m.lock_shared_until(until).error(), wait_error::timeout);
    EXPECT_TRUE(until.has_passed());
    EXPECT_FALSE(m.try_lock_shared_until(std::chrono::system_clock::now() + 1ms));
    EXPECT_EQ(m.lock_until(deadline::after(1ms)).error(), wait_error::timeout);
  }}.join();
  EXPECT_TRUE(test::waits_for(&m).empty());
  first.leave();
  expect_free(m);
}

TEST(shared_mutex, a_task_that_gives_up_leaves_nothing_behind) {
  shared_mutex m;
  std::optional<reader> first{std::in_place, m};
  ASSERT_TRUE(first->gets_in());
  loop_thread loop;
  started<void> stopped{loop.where(), write_once(m)};
  ASSERT_TRUE(waited_for(m, 1));
  started<void> stopped_too{loop.where(), read_once(m)};
  ASSERT_TRUE(waited_for(m, 2));
  started<std::expected<void, wait_error>> late{loop.where(), read_until_once(m, deadline::after(5ms))};
  ASSERT_TRUE(late.ends());
  EXPECT_EQ(late.value(), std::unexpected{wait_error::timeout});
  stopped_too.stop();
  ASSERT_TRUE(stopped_too.ends());
  EXPECT_TRUE(stopped_too.was_stopped());
  stopped.stop();
  ASSERT_TRUE(stopped.ends());
  EXPECT_TRUE(stopped.was_stopped());
  first.reset();
  expect_free(m);
}

// --- together with the standard's ---

TEST(shared_mutex, two_are_locked_together_in_any_order) {
  shared_mutex a;
  shared_mutex b;
  int count = 0;
  {
    const std::jthread one{[&] {
      for (int i = 0; i < 1'000; ++i) {
        const std::scoped_lock held{a, b};
        ++count;
      }
    }};
    const std::jthread other{[&] {
      for (int i = 0; i < 1'000; ++i) {
        const std::scoped_lock held{b, a};
        ++count;
      }
    }};
  }
  EXPECT_EQ(count, 2'000);
}

TEST(shared_mutex, readers_wait_for_a_condition_under_it) {
  shared_mutex m;
  std::condition_variable_any changed;
  bool ready = false;
  std::atomic<int> seen{0};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      std::shared_lock held{m};
      changed.wait(held, [&] { return ready; });
      ++seen;
    });
  }
  {
    const std::lock_guard held{m};
    ready = true;
  }
  changed.notify_all();
  EXPECT_TRUE(eventually([&] { return seen == 2; }));
}

TEST(shared_mutex, a_wait_tells_who_waits_for_what_and_who_writes) {
  shared_mutex named{"the ledger"};
  shared_mutex unnamed;
  const std::uint32_t made_at = std::source_location::current().line() - 1;
  const std::lock_guard first{named};
  const std::shared_lock second{unnamed};
  std::stop_source stop;
  std::jthread one{[&] { (void)named.lock_shared_until({}, stop.get_token()); }};
  std::jthread other{[&] { (void)unnamed.lock_until({}, stop.get_token()); }};
  ASSERT_TRUE(waited_for(named));
  ASSERT_TRUE(waited_for(unnamed));
  const park::wait_info reads = test::waits_for(&named).front();
  EXPECT_EQ(reads.waits_for, resource_kind::shared_mutex);
  EXPECT_EQ(reads.resource_name, "the ledger");
  EXPECT_TRUE(reads.shared);
  EXPECT_EQ(reads.holder, current_agent().id());
  const park::wait_info writes = test::waits_for(&unnamed).front();
  EXPECT_EQ(writes.resource_name, "heddle/sync/shared_mutex.test.cpp:" + std::to_string(made_at));
  EXPECT_FALSE(writes.shared);
  EXPECT_EQ(writes.holder, 0U) << "readers are found by what they hold";
  stop.request_stop();
}

}  // namespace
}  // namespace heddle
