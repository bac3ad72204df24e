#include <heddle/sync/barrier.hpp>

#include <gtest/gtest.h>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::loop_thread;
using test::manual_executor;
using test::started;
using test::waited_for;

TEST(barrier, nobody_passes_before_all_have_arrived) {
  constexpr int phases = 300;
  constexpr int members = 4;
  barrier b{members};
  std::atomic<int> arrived{0};
  std::atomic<int> wrong{0};
  const auto member = [&] {
    for (int phase = 1; phase <= phases; ++phase) {
      ++arrived;
      b.arrive_and_wait();
      const int seen = arrived;
      if (seen < phase * members || seen >= (phase + 1) * members) ++wrong;
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < members; ++i) threads.emplace_back(member);
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(arrived, phases * members);
}

template <class Barrier>
task<void> meet(Barrier& b, int phases) {
  for (int i = 0; i < phases; ++i) co_await b.async_arrive_and_wait();
}

TEST(barrier, threads_and_tasks_meet_at_it) {
  constexpr int phases = 300;
  int completed = 0;  // by the completion only: the barrier orders them
  barrier b{4, [&]() noexcept { ++completed; }};
  loop_thread one;
  loop_thread other;
  const started<void> first{one.where(), meet(b, phases)};
  const started<void> second{one.where(), meet(b, phases)};
  const started<void> third{other.where(), meet(b, phases)};
  for (int i = 1; i <= phases; ++i) {
    b.arrive_and_wait();
    EXPECT_GE(completed, i);
  }
  EXPECT_TRUE(first.ends());
  EXPECT_TRUE(second.ends());
  EXPECT_TRUE(third.ends());
  EXPECT_EQ(completed, phases);
}

TEST(barrier, the_completion_runs_once_before_anybody_goes_on) {
  std::atomic<bool> in_completion{false};
  std::atomic<bool> go_on{false};
  std::atomic<int> completed{0};
  std::atomic<int> passed{0};
  barrier b{2, "with a completion", [&]() noexcept {
              in_completion = true;
              while (!go_on) std::this_thread::yield();
              ++completed;
            }};
  {
    const std::jthread first{[&] {
      b.arrive_and_wait();
      ++passed;
    }};
    ASSERT_TRUE(waited_for(b));
    const std::jthread last{[&] {
      b.arrive_and_wait();
      ++passed;
    }};
    ASSERT_TRUE(test::eventually([&] { return in_completion.load(); }));
    EXPECT_EQ(test::waits_for(&b).size(), 1U);
    EXPECT_EQ(passed, 0);
    go_on = true;
  }
  EXPECT_EQ(completed, 1);
  EXPECT_EQ(passed, 2);
}

TEST(barrier, publishes_what_was_done_before_the_arrivals) {
  int plain[2] = {};
  int sum = 0;
  barrier b{2, [&]() noexcept { sum += plain[0] + plain[1]; }};
  const auto member = [&](int which) {
    for (int i = 1; i <= 200; ++i) {
      plain[which] = i;
      b.arrive_and_wait();
      EXPECT_EQ(plain[1 - which], i);
      EXPECT_EQ(sum, i * (i + 1));
      b.arrive_and_wait();
      if (which == 0) sum -= 2 * i;  // what the second completion has added
      b.arrive_and_wait();
      if (which == 0) sum -= 2 * i;
    }
  };
  const std::jthread other{member, 1};
  member(0);
}

TEST(barrier, an_arrival_may_be_waited_for_later) {
  barrier b{2};
  const barrier_arrival mine = b.arrive();
  EXPECT_FALSE(b.try_wait(mine));
  const barrier_arrival others = b.arrive();
  EXPECT_TRUE(b.try_wait(mine));
  b.wait(mine);
  const auto in_task = [](barrier<>& which, barrier_arrival at) -> task<void> { co_await which.async_wait(at); };
  sync_wait(in_task(b, others));
  const barrier_arrival next = b.arrive();
  EXPECT_TRUE(b.try_wait(mine));
  EXPECT_FALSE(b.try_wait(next));
  {
    const std::jthread waiter{[&] { b.wait(next); }};
    loop_thread loop;
    const started<void> waits{loop.where(), in_task(b, next)};
    ASSERT_TRUE(waited_for(b, 2));
    static_cast<void>(b.arrive());
    EXPECT_TRUE(waits.ends());
  }
}

TEST(barrier, try_wait_does_not_wait) {
  barrier b{3};
  const barrier_arrival at = b.arrive(2);
  EXPECT_FALSE(b.try_wait(at));
  static_cast<void>(b.arrive());
  EXPECT_TRUE(b.try_wait(at));
}

TEST(barrier, one_that_gives_up_has_still_arrived) {
  barrier b{3};
  const auto late = b.arrive_and_wait_until(deadline::after(2ms));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), wait_error::timeout);
  std::stop_source stop;
  stop.request_stop();
  const auto stopped = b.arrive_and_wait_until({}, stop.get_token());
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error(), wait_error::stopped);
  EXPECT_TRUE(b.arrive_and_wait_until(deadline::at_ns(1), stop.get_token()));  // the last one
  EXPECT_FALSE(b.arrive_and_wait_until(deadline::at_ns(1)));
}

TEST(barrier, a_task_that_gives_up_has_still_arrived) {
  barrier b{4};
  const auto arrive_until = [](barrier<>& where, deadline until) -> task<std::expected<void, wait_error>> {
    co_return co_await where.async_arrive_and_wait_until(until);
  };
  const auto late = sync_wait(arrive_until(b, deadline::after(2ms)));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), wait_error::timeout);
  loop_thread loop;
  started<void> stopped{loop.where(), meet(b, 1)};
  ASSERT_TRUE(waited_for(b));
  stopped.stop();
  ASSERT_TRUE(stopped.ends());
  EXPECT_TRUE(stopped.was_stopped());
  manual_executor executor;
  started<void> stopped_before{executor, meet(b, 1)};
  stopped_before.stop();
  executor.run_all();
  ASSERT_TRUE(stopped_before.ends());
  EXPECT_TRUE(stopped_before.was_stopped());
  EXPECT_TRUE(sync_wait(arrive_until(b, deadline::at_ns(1))));
}

TEST(barrier, a_deadline_and_a_stop_end_a_wait) {
  barrier b{2};
  const barrier_arrival at = b.arrive();
  const auto late = b.wait_until(at, deadline::after(2ms));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), wait_error::timeout);
  std::stop_source stop;
  std::expected<void, wait_error> stopped;
  {
    const std::jthread waiter{[&] { stopped = b.wait_until(at, {}, stop.get_token()); }};
    ASSERT_TRUE(waited_for(b));
    stop.request_stop();
  }
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error(), wait_error::stopped);
  const auto in_task = [](barrier<>& which, barrier_arrival when, deadline until) -> task<bool> {
    co_return (co_await which.async_wait_until(when, until)).has_value();
  };
  EXPECT_FALSE(sync_wait(in_task(b, at, deadline::after(2ms))));
  EXPECT_TRUE(test::waits_for(&b).empty());
  static_cast<void>(b.arrive());
  EXPECT_TRUE(sync_wait(in_task(b, at, deadline::at_ns(1))));
  EXPECT_TRUE(b.wait_until(at, deadline::at_ns(1), stop.get_token()));
}

TEST(barrier, who_drops_out_is_expected_no_more) {
  int completed = 0;
  barrier b{3, [&]() noexcept { ++completed; }};
  b.arrive_and_drop();
  const barrier_arrival first = b.arrive();
  EXPECT_FALSE(b.try_wait(first));
  static_cast<void>(b.arrive());
  EXPECT_TRUE(b.try_wait(first));
  const barrier_arrival second = b.arrive();
  EXPECT_FALSE(b.try_wait(second));
  b.arrive_and_drop();
  EXPECT_TRUE(b.try_wait(second));
  b.arrive_and_wait();
  EXPECT_EQ(completed, 3);
}

TEST(barrier, may_be_destroyed_by_whom_the_last_one_let_go) {
  std::atomic<barrier<>*> offered{nullptr};
  const std::jthread other{[&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      if (barrier<>* given = offered.exchange(nullptr); given != nullptr) static_cast<void>(given->arrive());
      std::this_thread::yield();
    }
  }};
  for (int i = 0; i < 600; ++i) {
    auto b = std::make_unique<barrier<>>(2U, "short-lived");
    offered = b.get();
    if (i % 3 == 0) {
      const barrier_arrival at = b->arrive();
      while (!b->try_wait(at)) std::this_thread::yield();
    } else {
      b->arrive_and_wait();
    }
  }
}

TEST(barrier, its_waits_are_in_the_picture) {
  constinit static barrier unnamed{2};
  const std::jthread waiter{[] { unnamed.arrive_and_wait(); }};
  ASSERT_TRUE(waited_for(unnamed));
  const park::wait_info wait = test::waits_for(&unnamed).front();
  EXPECT_NE(wait.resource_name.find("barrier.test.cpp:"), std::string::npos);
  EXPECT_NE(wait.site.find("barrier.test.cpp:"), std::string::npos);
  EXPECT_EQ(wait.waits_for, resource_kind::barrier);
  static_cast<void>(unnamed.arrive());
}

// --- fork ---

[[noreturn]] void fork_while_another_waits() {
  static barrier b{3};
  std::thread{[] { b.arrive_and_wait(); }}.detach();
  if (!waited_for(b)) std::_Exit(3);
  const pid_t pid = fork();
  if (pid != 0) {
    int status = 0;
    waitpid(pid, &status, 0);
    std::_Exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
  }
  const barrier_arrival at = b.arrive();
  if (b.try_wait(at)) std::_Exit(4);
  b.arrive_and_wait();  // the last one
  std::_Exit(b.try_wait(at) ? 0 : 5);
}

using barrier_fork = test::misuse;

TEST_F(barrier_fork, the_child_arrives_for_itself) {
  EXPECT_EXIT(fork_while_another_waits(), testing::ExitedWithCode(0), "");
}

// --- misuse ---

using barrier_misuse = test::misuse;

void arrive_three_times_at_two() {
  barrier b{2};
  static_cast<void>(b.arrive(3));
}

void arrive_in_the_completion() {
  static std::function<void()> arrive;
  barrier b{1, []() noexcept { arrive(); }};
  arrive = [&] { static_cast<void>(b.arrive()); };
  b.arrive_and_wait();
}

TEST_F(barrier_misuse, an_arrival_too_many_is_fatal) {
  EXPECT_DEATH(arrive_three_times_at_two(), "more arrived at a barrier than were missing in its phase");
  EXPECT_DEATH(arrive_in_the_completion(), "more arrived at a barrier than were missing in its phase");
}

void destroy_while_a_thread_waits() {
  auto* b = new barrier{2};
  std::thread waiter{[=] { b->arrive_and_wait(); }};
  (void)waited_for(*b);
  delete b;
  waiter.join();
}

TEST_F(barrier_misuse, destroying_what_is_waited_for_is_fatal) {
  EXPECT_DEATH(destroy_while_a_thread_waits(), "a barrier was destroyed while it is waited for");
}

TEST_F(barrier_misuse, a_wait_that_lasts_until_exit_is_no_misuse) {
  EXPECT_EXIT(
      {
        static barrier b{2};
        std::thread{[] { b.arrive_and_wait(); }}.detach();
        (void)waited_for(b);
        std::exit(0);
      },
      testing::ExitedWithCode(0), "^$");
}

}  // namespace
}  // namespace heddle
