// What every lock promises to tasks, and to tasks and threads that want the same one. By threads alone:
// lockable.test.cpp, lockable_limits.test.cpp.
#include <gtest/gtest.h>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/lockables.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::has_waiters;
using test::loop_thread;
using test::manual_executor;
using test::started;

// Counts who is inside with another, and how often somebody was.
class room {
 public:
  void enter() {
    if (inside_.fetch_add(1, std::memory_order_relaxed) != 0) ++collisions_;
    ++visits_;
  }
  void leave() { inside_.fetch_sub(1, std::memory_order_relaxed); }
  [[nodiscard]] int collisions() const { return collisions_; }
  [[nodiscard]] int visits() const { return visits_; }

 private:
  std::atomic<int> inside_{0};
  std::atomic<int> collisions_{0};
  int visits_ = 0;  // what the lock protects
};

template <class Lock>
task<void> visit(Lock& lock, room& inside, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    co_await lock.async_lock();
    inside.enter();
    inside.leave();
    lock.unlock();
  }
}

// Visits, and goes to the other executor and back with the lock held.
template <class Lock>
task<void> visit_on_the_way(Lock& lock, room& inside, int rounds, executor& here, executor& there) {
  for (int i = 0; i < rounds; ++i) {
    co_await lock.async_lock();
    inside.enter();
    co_await this_task::resume_on(i % 2 == 0 ? there : here);
    inside.leave();
    lock.unlock();
  }
}

template <class Lock>
task<void> lock_once(Lock& lock) {
  co_await lock.async_lock();
  lock.unlock();
}

template <class Lock>
task<std::expected<void, wait_error>> lock_until_once(Lock& lock, deadline until, std::stop_token stop = {}) {
  const auto held = co_await lock.async_lock_until(until, std::move(stop));
  if (held) lock.unlock();
  co_return held;
}

template <class Lock>
task<void> hold_until(Lock& lock, const std::atomic<bool>& enough) {
  co_await lock.async_lock();
  while (!enough) co_await this_task::yield();
  lock.unlock();
}

template <class Lock>
void expect_free(Lock& lock) {
  EXPECT_TRUE(lock.waits().empty());
  sync_wait(lock_once(lock));
}

// --- everything that a task can lock ---

template <class Lock>
class task_lockable : public testing::Test {};

using lockable_by_tasks = testing::Types<test::a_mutex, test::a_recursive_mutex, test::a_shared_mutex_to_write,
                                         test::one_permit, test::a_guarded_mutex, test::a_guarded_shared_mutex>;
TYPED_TEST_SUITE(task_lockable, lockable_by_tasks, test::by_name);

TYPED_TEST(task_lockable, excludes_tasks) {
  constexpr int rounds = 1'000;
  TypeParam lock;
  room inside;
  {
    loop_thread one;
    loop_thread other;
    std::vector<started<void>> tasks;
    for (int i = 0; i < 3; ++i) tasks.emplace_back(one.where(), visit(lock, inside, rounds));
    for (int i = 0; i < 3; ++i) tasks.emplace_back(other.where(), visit(lock, inside, rounds));
    for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  }
  EXPECT_EQ(inside.collisions(), 0);
  EXPECT_EQ(inside.visits(), 6 * rounds);
  expect_free(lock);
}

TYPED_TEST(task_lockable, excludes_threads_and_tasks) {
  constexpr int rounds = 1'000;
  TypeParam lock;
  room inside;
  {
    loop_thread one;
    loop_thread other;
    std::vector<started<void>> tasks;
    for (int i = 0; i < 2; ++i) tasks.emplace_back(one.where(), visit(lock, inside, rounds));
    for (int i = 0; i < 2; ++i) tasks.emplace_back(other.where(), visit(lock, inside, rounds));
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        for (int turn = 0; turn < rounds; ++turn) {
          const std::lock_guard held{lock};
          inside.enter();
          inside.leave();
        }
      });
    }
    for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  }
  EXPECT_EQ(inside.collisions(), 0);
  EXPECT_EQ(inside.visits(), 6 * rounds);
  expect_free(lock);
}

TYPED_TEST(task_lockable, is_held_by_the_task_on_whichever_thread_it_runs) {
  constexpr int rounds = 300;
  TypeParam lock;
  room inside;
  {
    loop_thread one;
    loop_thread other;
    std::vector<started<void>> tasks;
    for (int i = 0; i < 2; ++i) {
      tasks.emplace_back(one.where(), visit_on_the_way(lock, inside, rounds, one.where(), other.where()));
      tasks.emplace_back(other.where(), visit_on_the_way(lock, inside, rounds, other.where(), one.where()));
    }
    for (int turn = 0; turn < rounds; ++turn) {
      const std::lock_guard held{lock};
      inside.enter();
      inside.leave();
    }
    for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  }
  EXPECT_EQ(inside.collisions(), 0);
  EXPECT_EQ(inside.visits(), 5 * rounds);
  expect_free(lock);
}

// Nobody waits, and the flag orders nothing: only the lock does.
TYPED_TEST(task_lockable, what_a_task_did_under_it_is_seen_under_it) {
  TypeParam lock;
  alignas(64) int plain = 0;
  std::atomic<bool> done{false};
  const auto write = [](TypeParam& shared, int& value, std::atomic<bool>& flag) -> task<void> {
    co_await shared.async_lock();
    value = 1;
    shared.unlock();
    flag.store(true, std::memory_order_relaxed);
  };
  loop_thread loop;
  started before{loop.where(), write(lock, plain, done)};
  ASSERT_TRUE(eventually([&] { return done.load(std::memory_order_relaxed); }));
  {
    const std::lock_guard held{lock};
    EXPECT_EQ(plain, 1);
  }
  EXPECT_TRUE(before.ends());
}

TYPED_TEST(task_lockable, a_stopped_task_leaves_no_waiter_behind) {
  TypeParam lock;
  lock.block();
  loop_thread loop;
  started waiter{loop.where(), lock_once(lock)};
  EXPECT_TRUE(has_waiters(lock));
  waiter.stop();
  EXPECT_TRUE(waiter.ends());
  EXPECT_TRUE(waiter.was_stopped());
  EXPECT_TRUE(lock.waits().empty());
  lock.unblock();
  expect_free(lock);
}

TYPED_TEST(task_lockable, a_stopped_task_strands_neither_a_task_nor_a_thread) {
  TypeParam lock;
  lock.block();
  loop_thread loop;
  started stopped{loop.where(), lock_once(lock)};
  EXPECT_TRUE(has_waiters(lock, 1));
  started next{loop.where(), lock_once(lock)};
  EXPECT_TRUE(has_waiters(lock, 2));
  std::jthread last{[&] { const std::lock_guard held{lock}; }};
  EXPECT_TRUE(has_waiters(lock, 3));
  stopped.stop();
  EXPECT_TRUE(stopped.ends());
  EXPECT_EQ(lock.waits().size(), 2U);
  EXPECT_FALSE(next.has_ended());
  lock.unblock();
  EXPECT_TRUE(next.ends());
  last.join();
  expect_free(lock);
}

// The stop comes after the wake: the task takes what it was woken for.
TYPED_TEST(task_lockable, a_stop_after_the_wake_comes_too_late) {
  TypeParam lock;
  lock.block();
  manual_executor ready;
  started waiter{ready, lock_once(lock)};
  ready.run_all();
  EXPECT_TRUE(has_waiters(lock));
  lock.unblock();
  EXPECT_EQ(ready.pending(), 1U);
  waiter.stop();
  ready.run_all();
  ASSERT_TRUE(waiter.has_ended());
  EXPECT_FALSE(waiter.was_stopped());
  expect_free(lock);
}

TYPED_TEST(task_lockable, stops_that_race_with_unlock_strand_nobody) {
  constexpr int rounds = 150;
  loop_thread loop;
  for (int i = 0; i < rounds; ++i) {
    TypeParam lock;
    lock.block();
    started stopped{loop.where(), lock_once(lock)};
    started next{loop.where(), lock_once(lock)};
    std::jthread last{[&] { const std::lock_guard held{lock}; }};
    if (i % 2 == 0) EXPECT_TRUE(has_waiters(lock, 3));
    std::jthread stopper{[&] { stopped.stop(); }};
    lock.unblock();
    last.join();
    stopper.join();
    ASSERT_TRUE(stopped.ends());
    ASSERT_TRUE(next.ends());
    expect_free(lock);
  }
}

TYPED_TEST(task_lockable, tasks_are_served_oldest_first) {
  constexpr int waiters = 4;
  const auto take = [](TypeParam& shared, std::vector<int>& seen, int who) -> task<void> {
    co_await shared.async_lock();
    seen.push_back(who);
    shared.unlock();
  };
  TypeParam lock;
  std::vector<int> order;
  lock.block();
  manual_executor ready;
  std::vector<started<void>> tasks;
  for (int i = 0; i < waiters; ++i) tasks.emplace_back(ready, take(lock, order, i));
  ready.run_all();
  EXPECT_TRUE(has_waiters(lock, waiters));
  lock.unblock();
  ready.run_all();
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3}));
  expect_free(lock);
}

// The manual executor stands for one that is busy: what is posted to it does not run.
TYPED_TEST(task_lockable, a_busy_executor_does_not_keep_others_out) {
  TypeParam lock;
  lock.block();
  manual_executor busy;
  started woken{busy, lock_once(lock)};
  busy.run_all();
  EXPECT_TRUE(has_waiters(lock));
  std::jthread behind{[&] { const std::lock_guard held{lock}; }};
  EXPECT_TRUE(has_waiters(lock, 2));
  lock.unblock();
  behind.join();
  std::jthread{[&] { const std::lock_guard held{lock}; }}.join();
  EXPECT_FALSE(woken.has_ended());
  busy.run_all();
  EXPECT_TRUE(woken.has_ended());
  expect_free(lock);
}

TYPED_TEST(task_lockable, a_task_and_the_thread_that_runs_it_exclude_each_other) {
  TypeParam lock;
  manual_executor here;
  lock.block();
  started waiter{here, lock_once(lock)};
  here.run_all();
  EXPECT_FALSE(waiter.has_ended());
  EXPECT_EQ(lock.waits().size(), 1U);
  lock.unblock();
  here.run_all();
  EXPECT_TRUE(waiter.has_ended());
  expect_free(lock);
}

// The last of its users destroys it; what lies there then must stay as it is.
TYPED_TEST(task_lockable, may_be_destroyed_right_after_the_last_unlock) {
  constexpr int rounds = 200;
  constexpr unsigned char rubble = 0xee;
  struct shared_object {
    TypeParam lock;
    int users = 4;
    void left(bool last) {
      if (!last) return;
      this->~shared_object();
      std::memset(static_cast<void*>(this), rubble, sizeof *this);
    }
  };
  const auto drop = [](shared_object& object) -> task<void> {
    co_await object.lock.async_lock();
    const bool last = --object.users == 0;
    object.lock.unlock();
    object.left(last);
  };
  loop_thread one;
  loop_thread other;
  for (int i = 0; i < rounds; ++i) {
    const auto memory = std::make_unique<unsigned char[]>(sizeof(shared_object));
    auto* object = new (memory.get()) shared_object;
    started<void> first{one.where(), drop(*object)};
    started<void> second{other.where(), drop(*object)};
    const auto drop_as_thread = [&] {
      object->lock.lock();
      const bool last = --object->users == 0;
      object->lock.unlock();
      object->left(last);
    };
    std::jthread thread{drop_as_thread};
    drop_as_thread();
    thread.join();
    ASSERT_TRUE(first.ends() && second.ends());
    for (std::size_t byte = 0; byte < sizeof(shared_object); ++byte) ASSERT_EQ(memory[byte], rubble);
  }
}

TYPED_TEST(task_lockable, a_crowd_of_threads_and_tasks_gets_its_turns) {
  constexpr int each_kind = 64;
  constexpr int turns = 20;
  TypeParam lock;
  room inside;
  {
    loop_thread one;
    loop_thread other;
    std::vector<started<void>> tasks;
    for (int i = 0; i < each_kind; ++i) {
      tasks.emplace_back(i % 2 == 0 ? one.where() : other.where(), visit(lock, inside, turns));
    }
    std::vector<std::jthread> threads;
    for (int i = 0; i < each_kind; ++i) {
      threads.emplace_back([&] {
        for (int turn = 0; turn < turns; ++turn) {
          const std::lock_guard held{lock};
          inside.enter();
          inside.leave();
        }
      });
    }
    for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  }
  EXPECT_EQ(inside.collisions(), 0);
  EXPECT_EQ(inside.visits(), 2 * each_kind * turns);
  expect_free(lock);
}

// --- those that a task can give up on, and in order ---

template <class Lock>
class timed_task_lockable : public testing::Test {};

using timed_by_tasks = testing::Types<test::a_mutex, test::a_recursive_mutex, test::a_shared_mutex_to_write,
                                      test::a_share, test::one_permit>;
TYPED_TEST_SUITE(timed_task_lockable, timed_by_tasks, test::by_name);

TYPED_TEST(timed_task_lockable, a_free_lock_is_taken_even_late_or_when_stopped) {
  TypeParam lock;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(sync_wait(lock_until_once(lock, deadline::after(-1s))));
  EXPECT_TRUE(sync_wait(lock_until_once(lock, deadline::never(), stop.get_token())));
  EXPECT_TRUE(sync_wait_outcome(lock_once(lock), {stop.get_token(), {}}).has_value());
  expect_free(lock);
}

TYPED_TEST(timed_task_lockable, a_held_lock_is_refused_at_once_when_late_or_stopped) {
  TypeParam lock;
  lock.block();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(sync_wait(lock_until_once(lock, deadline::after(-1s))), std::unexpected{wait_error::timeout});
  EXPECT_EQ(sync_wait(lock_until_once(lock, {}, stop.get_token())), std::unexpected{wait_error::stopped});
  EXPECT_TRUE(sync_wait_outcome(lock_once(lock), {stop.get_token(), {}}).is_stopped());
  EXPECT_TRUE(lock.waits().empty());
  lock.unblock();
  expect_free(lock);
}

TYPED_TEST(timed_task_lockable, a_timeout_leaves_no_waiter_behind_and_strands_nobody) {
  TypeParam lock;
  lock.block();
  loop_thread loop;
  const deadline until = deadline::after(10ms);
  started first{loop.where(), lock_until_once(lock, until)};
  started next{loop.where(), lock_once(lock)};
  EXPECT_TRUE(first.ends());
  EXPECT_EQ(first.value(), std::unexpected{wait_error::timeout});
  EXPECT_TRUE(until.has_passed());
  EXPECT_TRUE(has_waiters(lock));
  EXPECT_FALSE(next.has_ended());
  lock.unblock();
  EXPECT_TRUE(next.ends());
  expect_free(lock);
}

TYPED_TEST(timed_task_lockable, is_stopped_by_the_token_that_it_passes) {
  TypeParam lock;
  lock.block();
  manual_executor ready;
  std::stop_source stop;
  started waiter{ready, lock_until_once(lock, {}, stop.get_token())};
  ready.run_all();
  EXPECT_TRUE(has_waiters(lock));
  stop.request_stop();
  EXPECT_EQ(ready.pending(), 1U);
  ready.run_all();
  EXPECT_TRUE(waiter.has_ended());
  EXPECT_EQ(waiter.value(), std::unexpected{wait_error::stopped});
  lock.unblock();
  expect_free(lock);
}

TYPED_TEST(timed_task_lockable, timeouts_that_race_with_unlock_strand_nobody) {
  constexpr int rounds = 500;
  TypeParam lock;
  std::atomic<int> taken{0};
  std::atomic<int> timeouts{0};
  const auto impatient = [](TypeParam& shared, std::atomic<int>& got, std::atomic<int>& late) -> task<void> {
    for (int i = 0; i < rounds; ++i) {
      if (co_await shared.async_lock_until(deadline::after(std::chrono::microseconds(i % 60)))) {
        ++got;
        shared.unlock();
      } else {
        ++late;
      }
    }
  };
  const auto patient = [](TypeParam& shared, std::atomic<int>& got) -> task<void> {
    for (int i = 0; i < rounds; ++i) {
      co_await shared.async_lock();
      ++got;
      if (i % 8 == 0) co_await this_task::yield();
      shared.unlock();
    }
  };
  {
    loop_thread one;
    loop_thread other;
    std::vector<started<void>> tasks;
    for (executor* where : {&one.where(), &other.where()}) {
      tasks.emplace_back(*where, impatient(lock, taken, timeouts));
      tasks.emplace_back(*where, patient(lock, taken));
    }
    for (int i = 0; i < rounds; ++i) {
      lock.block();
      ++taken;
      lock.unblock();
    }
    for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  }
  EXPECT_EQ(taken + timeouts, 5 * rounds);
  expect_free(lock);
}

// A task whose executor runs it is let in before a newcomer, once it has waited for long.
TYPED_TEST(timed_task_lockable, a_waiter_is_not_passed_over_for_long) {
  TypeParam lock;
  lock.block();
  manual_executor ready;
  std::atomic<bool> enough{false};
  started waiter{ready, hold_until(lock, enough)};
  ready.run_all();
  EXPECT_TRUE(has_waiters(lock));
  EXPECT_TRUE(test::passed(deadline::after(2ms)));
  lock.unblock();
  EXPECT_EQ(ready.pending(), 1U);
  const auto came_first = [&] {
    if constexpr (requires { lock.try_block(); }) {
      return lock.try_block();
    } else {
      return lock.try_lock();
    }
  };
  EXPECT_FALSE(came_first()) << "a newcomer went past the waiter";
  EXPECT_TRUE(ready.run_one());
  EXPECT_FALSE(came_first()) << "it has not got the lock";
  enough = true;
  ready.run_all();
  EXPECT_TRUE(waiter.has_ended());
  expect_free(lock);
}

}  // namespace
}  // namespace heddle
