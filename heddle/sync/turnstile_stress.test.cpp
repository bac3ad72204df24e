// The turnstile under pressure: threads and tasks of several executors at one mutex and one semaphore, with deadlines,
// stops, executors that block, and destruction right after the last unlock. HEDDLE_STRESS_MS sets how long each test runs.

#include <heddle/sync/mutex.hpp>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/stress.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;

using test::dice;
using test::stress_time;
using test::watchdog;

/// One thing that several users share; the last to let go deletes it, right after its unlock.
struct shared_thing {
  explicit shared_thing(int users) : left{users} {}
  mutex gate{"stress"};
  int left;                  // under gate
  std::uint64_t inside = 0;  // under gate
};

void use(shared_thing& thing) {
  ++thing.inside;
  EXPECT_EQ(thing.inside, 1U);
  --thing.inside;
}

void lock_often_in_a_thread(shared_thing* thing, dice random, watchdog& dog) {
  for (int i = 0; i < 8; ++i) {
    if (random.below(3) == 0) {
      if (const auto lock = thing->gate.lock_until(random.soon())) use(*thing);
    } else {
      const std::lock_guard lock{thing->gate};
      use(*thing);
    }
    dog.step();
  }
  thing->gate.lock();
  const bool last = --thing->left == 0;
  thing->gate.unlock();
  if (last) delete thing;
  dog.step();
}

task<void> lock_often_in_a_task(shared_thing* thing, dice random, watchdog& dog) {
  for (int i = 0; i < 8; ++i) {
    switch (random.below(4)) {
      case 0:
        if (auto lock = co_await thing->gate.async_lock_until(random.soon())) use(*thing);
        break;
      case 1: {  // blocks its executor, as a task should not
        const std::lock_guard lock{thing->gate};
        use(*thing);
        break;
      }
      case 2: co_await this_task::yield(); [[fallthrough]];
      default: {
        const std::unique_lock lock = co_await thing->gate.async_lock();
        use(*thing);
      }
    }
    dog.step();
  }
  bool last = false;
  {
    const std::unique_lock lock = co_await thing->gate.async_lock();
    last = --thing->left == 0;
  }
  if (last) delete thing;
  dog.step();
}

TEST(turnstile_stress, a_mutex_excludes_strands_nobody_and_may_be_deleted_by_the_last) {
  watchdog dog;
  const deadline end = deadline::after(stress_time());
  unsigned round = 0;
  while (!end.has_passed()) {
    ++round;
    auto* thing = new shared_thing{6};
    test::loop_thread one{"one"};
    test::loop_thread two{"two"};
    std::vector<test::started<void>> tasks;
    tasks.emplace_back(one.where(), lock_often_in_a_task(thing, dice{round * 8}, dog));
    tasks.emplace_back(one.where(), lock_often_in_a_task(thing, dice{round * 8 + 1}, dog));
    tasks.emplace_back(two.where(), lock_often_in_a_task(thing, dice{round * 8 + 2}, dog));
    tasks.emplace_back(two.where(), lock_often_in_a_task(thing, dice{round * 8 + 3}, dog));
    {
      const std::jthread a{lock_often_in_a_thread, thing, dice{round * 8 + 4}, std::ref(dog)};
      const std::jthread b{lock_often_in_a_thread, thing, dice{round * 8 + 5}, std::ref(dog)};
    }
    for (const auto& each : tasks) ASSERT_TRUE(each.ends());
  }
  EXPECT_GT(round, 0U);
  EXPECT_TRUE(test::waits_named("stress").empty());
}

task<void> acquire_often(semaphore& permits, std::atomic<unsigned>& out, unsigned most, dice random, watchdog& dog) {
  for (;;) {
    const unsigned count = 1 + random.below(most);
    if (random.below(2) == 0) {
      const auto held = co_await permits.async_acquire_until(random.soon(), {}, count);
      if (held) {
        EXPECT_LE(out.fetch_add(count) + count, most);
        out.fetch_sub(count);
      }
      co_await this_task::check_stop();
    } else {
      const semaphore_permit held = co_await permits.async_acquire(count);
      EXPECT_LE(out.fetch_add(count) + count, most);
      out.fetch_sub(count);
    }
    dog.step();
    if (random.below(4) == 0) co_await this_task::yield();
  }
}

TEST(turnstile_stress, a_semaphore_keeps_its_permits_whoever_is_stopped) {
  constexpr unsigned most = 3;
  watchdog dog;
  const deadline end = deadline::after(stress_time());
  semaphore permits{most, "stress"};
  std::atomic<unsigned> out{0};
  unsigned round = 0;
  while (!end.has_passed()) {
    ++round;
    test::loop_thread one{"one"};
    test::loop_thread two{"two"};
    std::vector<test::started<void>> tasks;
    for (unsigned i = 0; i < 6; ++i) {
      tasks.emplace_back((i % 2 == 0 ? one : two).where(),
                         acquire_often(permits, out, most, dice{round * 16 + i}, dog));
    }
    {
      std::vector<std::jthread> threads;
      for (unsigned i = 0; i < 2; ++i) {
        threads.emplace_back([&, random = dice{round * 16 + 8 + i}](const std::stop_token& stop) mutable {
          while (!stop.stop_requested()) {
            const unsigned count = 1 + random.below(most);
            if (auto held = permits.acquire_until(random.soon(), stop, count)) {
              EXPECT_LE(out.fetch_add(count) + count, most);
              out.fetch_sub(count);
            }
            dog.step();
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
    ASSERT_EQ(permits.available(), most);
  }
  EXPECT_TRUE(test::waits_named("stress").empty());
}

// Signals: each release lets somebody in who may destroy the semaphore at once.
TEST(turnstile_stress, a_semaphore_may_be_deleted_by_whom_the_last_release_lets_in) {
  watchdog dog;
  const deadline end = deadline::after(stress_time());
  std::atomic<semaphore*> offered{nullptr};
  std::atomic<semaphore*> offered_too{nullptr};
  const auto releaser = [](std::atomic<semaphore*>& place) {
    return [&place](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        if (semaphore* given = place.exchange(nullptr); given != nullptr) given->release();
        std::this_thread::yield();
      }
    };
  };
  const std::jthread one{releaser(offered)};
  const std::jthread two{releaser(offered_too)};
  dice random{1};
  while (!end.has_passed()) {
    auto signal = std::make_unique<semaphore>(0U, "stress");
    {
      std::jthread impatient;
      if (random.below(2) == 0) {
        impatient = std::jthread{
            [&signal, until = random.soon()] { EXPECT_FALSE(signal->acquire_until(until, {}, 3).has_value()); }};
        if (random.below(2) == 0) impatient.join();
      }
      offered.store(signal.get());
      offered_too.store(signal.get());
      const semaphore_permit both = signal->acquire(2);
      EXPECT_EQ(both.count(), 2U);
    }
    signal.reset();
    dog.step();
  }
}

}  // namespace
}  // namespace heddle
