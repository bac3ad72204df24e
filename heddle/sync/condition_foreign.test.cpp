// Conditions that are waited for with locks that are not heddle's mutex.

#include <heddle/sync/condition_variable.hpp>
#include <heddle/sync/recursive_mutex.hpp>

#include <gtest/gtest.h>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::waited_for;

/// A user's lock that knows nothing of heddle.
class spin_lock {
 public:
  void lock() {
    while (taken_.test_and_set(std::memory_order_acquire)) std::this_thread::yield();
  }
  void unlock() { taken_.clear(std::memory_order_release); }

 private:
  std::atomic_flag taken_;
};

/// A user's lock that is made of heddle's parts, so that its unlock() may wait.
class careful_lock {
 public:
  void lock() {
    std::unique_lock guard{inside};
    freed_.wait(guard, [this] { return !taken_; });
    taken_ = true;
  }
  void unlock() {
    const std::lock_guard guard{inside};
    taken_ = false;
    freed_.notify_one();
  }

  mutex inside;

 private:
  condition_variable freed_;
  bool taken_ = false;  // under inside
};

/// One thread waits for the other one's turn, and the other way round.
template <class Mutex, class Lock = std::unique_lock<Mutex>>
void take_turns() {
  constexpr int rounds = 300;
  Mutex m;
  condition_variable changed;
  int turn = 0;
  std::jthread other{[&] {
    for (int i = 0; i < rounds; ++i) {
      Lock lock{m};
      changed.wait(lock, [&] { return turn % 2 == 1; });
      ++turn;
      changed.notify_one();
    }
  }};
  for (int i = 0; i < rounds; ++i) {
    Lock lock{m};
    changed.wait(lock, [&] { return turn % 2 == 0; });
    ++turn;
    changed.notify_one();
  }
  other.join();
  EXPECT_EQ(turn, 2 * rounds);
}

TEST(condition_foreign, any_lock_does) {
  take_turns<std::mutex>();
  take_turns<std::recursive_mutex>();
  take_turns<std::shared_mutex>();
  take_turns<std::shared_timed_mutex>();
  take_turns<recursive_mutex>();
  take_turns<spin_lock>();
  take_turns<careful_lock>();
}

TEST(condition_foreign, the_mutex_itself_is_waited_for_without_a_guard) {
  mutex m;
  condition_variable c;
  bool there = false;
  std::jthread waiter{[&] {
    m.lock();
    c.wait(m, [&] { return there; });
    EXPECT_TRUE(m.held_by_me());
    m.unlock();
  }};
  ASSERT_TRUE(waited_for(c));
  const std::lock_guard lock{m};
  there = true;
  c.notify_one();
  EXPECT_EQ(test::waits_for(&m).size(), 1U) << "it is moved there as with a guard";
}

TEST(condition_foreign, readers_wait_together) {
  std::shared_mutex m;
  condition_variable c;
  int value = 0;
  std::atomic<int> seen{0};
  {
    std::vector<std::jthread> readers;
    for (int i = 0; i < 3; ++i) {
      readers.emplace_back([&] {
        std::shared_lock lock{m};
        c.wait(lock, [&] { return value != 0; });
        EXPECT_TRUE(lock.owns_lock());
        seen += value;
      });
    }
    ASSERT_TRUE(waited_for(c, 3));
    const std::lock_guard lock{m};
    value = 7;
    c.notify_all();
  }
  EXPECT_EQ(seen, 21);
}

TEST(condition_foreign, each_waiter_gets_its_own_lock_back) {
  std::mutex first;
  std::shared_mutex second;
  spin_lock third;
  mutex fourth;
  condition_variable c;
  std::atomic<int> back{0};
  std::vector<std::jthread> threads;
  threads.emplace_back([&] {
    std::unique_lock lock{first};
    c.wait(lock);
    EXPECT_TRUE(lock.owns_lock());
    std::jthread{[&] { EXPECT_FALSE(first.try_lock()); }}.join();
    ++back;
  });
  threads.emplace_back([&] {
    std::shared_lock lock{second};
    c.wait(lock);
    std::jthread{[&] {
      EXPECT_FALSE(second.try_lock());
      EXPECT_TRUE(second.try_lock_shared());
      second.unlock_shared();
    }}.join();
    ++back;
  });
  threads.emplace_back([&] {
    third.lock();
    c.wait(third);
    third.unlock();
    ++back;
  });
  threads.emplace_back([&] {
    std::unique_lock lock{fourth};
    c.wait(lock);
    EXPECT_TRUE(fourth.held_by_me());
    ++back;
  });
  ASSERT_TRUE(waited_for(c, 4));
  {
    const std::scoped_lock held{first, fourth};
    c.notify_all();
    EXPECT_TRUE(test::waits_for(&c).empty());
    EXPECT_EQ(test::waits_for(&fourth).size(), 1U);
    ASSERT_TRUE(eventually([&] { return back == 2; }));
  }
  threads.clear();
  EXPECT_EQ(back, 4);
}

TEST(condition_foreign, a_deadline_or_a_stop_ends_it) {
  std::mutex m;
  condition_variable c;
  std::stop_source stop;
  std::unique_lock lock{m};
  const deadline until = deadline::after(3ms);
  EXPECT_EQ(c.wait_until(lock, until).error(), wait_error::timeout);
  EXPECT_TRUE(until.has_passed());
  EXPECT_TRUE(lock.owns_lock());
  EXPECT_EQ(c.wait_for(lock, -1s).error(), wait_error::timeout);
  EXPECT_FALSE(c.wait_for(lock, [] { return false; }, 1ms));
  EXPECT_TRUE(c.wait_for(lock, [] { return true; }, -1ms));
  lock.unlock();
  std::jthread waiter{[&] {
    std::unique_lock own{m};
    EXPECT_EQ(c.wait_until(own, deadline::never(), stop.get_token()).error(), wait_error::stopped);
    EXPECT_TRUE(own.owns_lock());
    EXPECT_FALSE(c.wait_until(own, [] { return false; }, deadline::never(), stop.get_token()));
  }};
  ASSERT_TRUE(waited_for(c));
  stop.request_stop();
}

TEST(condition_foreign, no_wake_up_is_lost) {
  constexpr int count = 4'000;
  constexpr std::size_t places = 2;
  std::mutex m;
  condition_variable not_full;
  condition_variable not_empty;
  std::deque<int> items;
  std::atomic<long> sum{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        for (int i = 1; i <= count; ++i) {
          std::unique_lock lock{m};
          not_full.wait(lock, [&] { return items.size() < places; });
          items.push_back(i);
          not_empty.notify_one();
        }
      });
      threads.emplace_back([&] {
        for (int i = 1; i <= count; ++i) {
          std::unique_lock lock{m};
          not_empty.wait(lock, [&] { return !items.empty(); });
          sum += items.front();
          items.pop_front();
          lock.unlock();
          not_full.notify_one();
        }
      });
    }
  }
  EXPECT_EQ(sum, static_cast<long>(count) * (count + 1));
  EXPECT_TRUE(items.empty());
}

// It is notified while its unlock() waits for something else.
TEST(condition_foreign, a_lock_whose_unlock_waits_does) {
  careful_lock careful;
  condition_variable c;
  std::atomic<bool> has_it{false};
  std::atomic<bool> may_wait{false};
  std::atomic<bool> back{false};
  std::jthread waiter{[&] {
    careful.lock();
    has_it = true;
    EXPECT_TRUE(eventually([&] { return may_wait.load(); }));
    c.wait(careful);
    back = true;
    careful.unlock();
  }};
  ASSERT_TRUE(eventually([&] { return has_it.load(); }));
  std::unique_lock inside{careful.inside};
  may_wait = true;
  ASSERT_TRUE(waited_for(careful.inside));
  c.notify_one();
  EXPECT_FALSE(back);
  inside.unlock();
  waiter.join();
  EXPECT_TRUE(back);
}

TEST(condition_foreign, a_task_that_blocks_its_thread_waits_as_the_task) {
  std::mutex m;
  condition_variable c;
  const auto body = [](std::mutex& lock_of, condition_variable& changed) -> task<std::uint32_t> {
    std::unique_lock lock{lock_of};
    changed.wait(lock);
    co_return current_agent().id();
  };
  std::uint32_t id = 0;
  std::jthread runner{[&] { id = sync_wait(body(m, c)); }};
  ASSERT_TRUE(waited_for(c));
  const park::wait_info wait = test::waits_for(&c).front();
  EXPECT_EQ(wait.kind, agent::kind::task);
  c.notify_one();
  runner.join();
  EXPECT_EQ(id, wait.agent);
}

TEST(condition_foreign, may_be_destroyed_after_notify_all) {
  constexpr unsigned char rubble = 0xee;
  std::mutex m;
  for (int round = 0; round < 50; ++round) {
    const auto memory = std::make_unique<unsigned char[]>(sizeof(condition_variable));
    auto* c = new (memory.get()) condition_variable;
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        std::unique_lock lock{m};
        c->wait(lock);
      });
    }
    ASSERT_TRUE(waited_for(*c, 3));
    std::unique_lock mine{m};
    c->notify_all();
    c->~condition_variable();
    std::memset(memory.get(), rubble, sizeof(condition_variable));
    mine.unlock();
    threads.clear();
    for (std::size_t byte = 0; byte < sizeof(condition_variable); ++byte) ASSERT_EQ(memory[byte], rubble);
  }
}

}  // namespace
}  // namespace heddle
