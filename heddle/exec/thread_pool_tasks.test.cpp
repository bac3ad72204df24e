// Tasks on a pool: run(), moving there and back, waiting in a worker.

#include <heddle/exec/thread_pool.hpp>

#include <gtest/gtest.h>
#include <heddle/park/blocking_region.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/sys/thread.hpp>
#include <heddle/task/run_loop.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/gate.hpp>
#include <tests/support/tasks.hpp>

#include <atomic>
#include <latch>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace heddle;
using namespace std::chrono_literals;
using test::eventually;
using test::gate;

constexpr bool slow = sys::under_tsan;
struct where_it_ran {
  thread_pool* fn = nullptr;
  executor* task = nullptr;
};

task<where_it_ran> runs_there(thread_pool& pool) {
  where_it_ran seen;
  const auto before = std::this_thread::get_id();
  seen.fn = co_await pool.run([] { return thread_pool::current(); });
  seen.task = &co_await this_task::current_executor();
  EXPECT_EQ(std::this_thread::get_id(), before);
  co_return seen;
}

TEST(thread_pool, run_resumes_the_task_on_its_own_executor) {
  thread_pool pool{{.threads = 2}};
  const where_it_ran seen = sync_wait(runs_there(pool));
  EXPECT_EQ(seen.fn, &pool);
  EXPECT_NE(seen.task, &pool);
}

TEST(thread_pool, a_job_that_is_cancelled_before_its_turn_is_not_called) {
  thread_pool pool{{.threads = 1}};
  gate busy;
  future<void> first = pool.submit([&] { busy.pass(); });
  ASSERT_TRUE(busy.entered_by(1));
  bool ran = false;
  future<void> second = pool.submit([&] { ran = true; });
  future<int> third = pool.submit([] { return 3; });
  second.cancel();
  EXPECT_TRUE(second.is_ready()) << "the answer does not wait for its turn";
  first.cancel();  // it has begun
  busy.open();
  first.get();
  EXPECT_EQ(third.get(), 3);
  EXPECT_FALSE(ran);
  try {
    second.get();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const job_refused& refused) {
    EXPECT_EQ(refused.why(), job_refused::reason::cancelled);
  }
}

task<void> throws_there(thread_pool& pool) {
  co_await pool.run([] { throw std::out_of_range{"seven"}; });
}

TEST(thread_pool, run_carries_exceptions) {
  thread_pool pool{{.threads = 2}};
  EXPECT_THROW(sync_wait(throws_there(pool)), std::out_of_range);
}

task<int> runs_many(thread_pool& pool, int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += co_await pool.run([&sum, i] { return sum >= 0 ? i : 0; });
  co_return sum;
}

TEST(thread_pool, run_many_times_from_many_tasks) {
  thread_pool pool{{.threads = 2}};
  constexpr int count = slow ? 500 : 5'000;
  std::vector<test::started<int>> tasks;
  tasks.reserve(8);
  test::loop_thread loop;
  for (int i = 0; i < 8; ++i) tasks.emplace_back(i % 2 == 0 ? loop.where() : pool, runs_many(pool, count));
  for (auto& each : tasks) {
    ASSERT_TRUE(each.ends());
    EXPECT_EQ(each.value(), count * (count - 1) / 2);
  }
}

task<void> runs_flag(thread_pool& pool, std::atomic<bool>& called) {
  co_await pool.run([&] { called = true; });
}

TEST(thread_pool, run_skips_what_was_stopped) {
  gate held;
  thread_pool pool{{.threads = 1}};
  pool.post([&] { held.pass(); });
  ASSERT_TRUE(held.entered_by(1));
  std::atomic<bool> called{false};
  test::loop_thread loop;
  test::started<void> waiting{loop.where(), runs_flag(pool, called)};
  EXPECT_TRUE(eventually([&] { return pool.stats().queued == 1; }));
  waiting.stop();
  EXPECT_FALSE(waiting.has_ended()) << "the frame must stay as long as the pool refers to it";
  held.open();
  ASSERT_TRUE(waiting.ends());
  EXPECT_TRUE(waiting.was_stopped());
  EXPECT_FALSE(called.load());
}

task<void> runs_gate(thread_pool& pool, gate& held, std::atomic<bool>& went_on) {
  co_await pool.run([&] { held.pass(); });
  went_on = true;
}

TEST(thread_pool, run_awaits_the_end_of_what_has_begun_whatever_stops) {
  gate held;
  thread_pool pool{{.threads = 1}};
  std::atomic<bool> went_on{false};
  test::loop_thread loop;
  test::started<void> waiting{loop.where(), runs_gate(pool, held, went_on)};
  ASSERT_TRUE(held.entered_by(1));
  waiting.stop();
  EXPECT_FALSE(waiting.has_ended());
  held.open();
  ASSERT_TRUE(waiting.ends());
  EXPECT_TRUE(went_on.load());
}

TEST(thread_pool, run_tells_the_task_that_the_pool_was_abandoned) {
  thread_pool pool{{.threads = 1}};
  pool.abandon();
  EXPECT_THROW(sync_wait(throws_there(pool)), job_refused);
}

task<int> hops(thread_pool& pool, executor& home, int times) {
  int there = 0;
  for (int i = 0; i < times; ++i) {
    co_await this_task::resume_on(pool);
    if (thread_pool::current() == &pool) ++there;
    co_await this_task::resume_on(home);
    if (thread_pool::current() == nullptr) ++there;
  }
  co_return there;
}

TEST(thread_pool, tasks_move_to_it_and_away) {
  thread_pool pool{{.threads = 2}};
  test::loop_thread home;
  constexpr int times = slow ? 500 : 5'000;
  test::started<int> hopper{home.where(), hops(pool, home.where(), times)};
  ASSERT_TRUE(hopper.ends());
  EXPECT_EQ(hopper.value(), 2 * times);
}

task<bool> moves_with_schedule(thread_pool& pool) {
  const bool before = thread_pool::current() == nullptr;
  co_await pool.schedule();
  const bool there = thread_pool::current() == &pool;
  co_await this_task::yield();
  co_return before&& there&& thread_pool::current() == &pool;
}

TEST(thread_pool, schedule_moves_the_task_here) {
  thread_pool pool{{.threads = 2}};
  EXPECT_TRUE(sync_wait(moves_with_schedule(pool)));
}

task<void> yields(std::atomic<int>& sum, int times) {
  for (int i = 0; i < times; ++i) co_await this_task::yield();
  sum.fetch_add(1);
}

TEST(thread_pool, many_tasks_take_turns) {
  std::atomic<int> sum{0};
  thread_pool pool{{.threads = 3}};
  std::vector<test::started<void>> tasks;
  tasks.reserve(500);
  for (int i = 0; i < 500; ++i) tasks.emplace_back(pool, yields(sum, slow ? 20 : 200));
  for (auto& each : tasks) ASSERT_TRUE(each.ends());
  EXPECT_EQ(sum.load(), 500);
}

task<int> yields_until(const std::atomic<bool>& enough) {
  int times = 0;
  for (; !enough && times < 1'000; ++times) co_await this_task::yield();
  co_return times;
}

TEST(thread_pool, a_task_that_yields_lets_those_run_that_others_queued) {
  thread_pool pool{{.threads = 1}};
  std::atomic<bool> all_are_queued{false};
  std::atomic<bool> other_has_run{false};
  pool.post([&] {
    while (!all_are_queued) sys::spin_pause();
  });
  test::started<int> yielding{pool, yields_until(other_has_run)};
  for (int i = 0; i < 3; ++i) pool.post([] {});
  pool.post([&] { other_has_run = true; });
  all_are_queued = true;
  ASSERT_TRUE(yielding.ends());
  EXPECT_LE(yielding.value(), 5);
}

task<int> answers_from_a_worker(thread_pool& pool) {
  co_await this_task::resume_on(pool);
  // Blocks the worker, in a task of its own: the pool's only thread must be replaced for the inner run() to go on.
  co_return sync_wait(runs_many(pool, 10));
}

TEST(thread_pool, a_task_may_wait_for_a_task_in_a_worker) {
  thread_pool pool{{.threads = 1}};
  EXPECT_EQ(sync_wait(answers_from_a_worker(pool)), 45);
}

// --- blocking_region ---

}  // namespace
