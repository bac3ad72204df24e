#include <heddle/sync/once.hpp>

#include <gtest/gtest.h>
#include <heddle/sync/event.hpp>
#include <heddle/sync/latch.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/no_deadlocks.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::loop_thread;
using test::manual_executor;
using test::started;
using test::waited_for;

task<void> run_in_task(once& o, int& runs) {
  if (once_turn turn = co_await o.async_begin()) {
    co_await this_task::yield();
    ++runs;
    turn.done();
  }
}

/// Waits for the turn; says whether it got it, and gives it up.
task<bool> look_for_a_turn(once& o) {
  const once_turn turn = co_await o.async_begin();
  co_return static_cast<bool>(turn);
}

TEST(once, exactly_one_call_runs) {
  for (int round = 0; round < 200; ++round) {
    once o;
    int runs = 0;  // by the once only
    const auto call = [&] {
      o.call([&] { ++runs; });
      EXPECT_EQ(runs, 1);
    };
    const std::jthread a{call};
    const std::jthread b{call};
    call();
    EXPECT_TRUE(o.is_done());
    o.call([&] { ++runs; });
    EXPECT_EQ(runs, 1);
  }
}

TEST(once, threads_and_tasks_take_turns) {
  for (int round = 0; round < 100; ++round) {
    once o;
    int runs = 0;
    loop_thread one;
    loop_thread other;
    const started<void> first{one.where(), run_in_task(o, runs)};
    const started<void> second{one.where(), run_in_task(o, runs)};
    const started<void> third{other.where(), run_in_task(o, runs)};
    o.call([&] { ++runs; });
    EXPECT_EQ(runs, 1);
    ASSERT_TRUE(first.ends());
    ASSERT_TRUE(second.ends());
    ASSERT_TRUE(third.ends());
    EXPECT_EQ(runs, 1);
  }
}

// Nobody waits for a turn that is over: is_done() alone orders what is plain.
TEST(once, publishes_what_was_done) {
  (void)current_agent().id();
  for (int round = 0; round < 200; ++round) {
    once o;
    int plain = 0;
    const std::jthread other{[&] { o.call([&] { plain = 1; }); }};
    while (!o.is_done()) std::this_thread::yield();
    EXPECT_EQ(plain, 1);
  }
}

TEST(once, an_exception_lets_the_next_one_try) {
  once o;
  int runs = 0;
  EXPECT_THROW(o.call([&] {
    ++runs;
    throw std::runtime_error{"the first time"};
  }),
               std::runtime_error);
  EXPECT_FALSE(o.is_done());
  std::atomic<bool> entered{false};
  std::atomic<bool> fail{false};
  {
    const std::jthread fails{[&] {
      EXPECT_THROW(o.call([&] {
        ++runs;
        entered = true;
        while (!fail) std::this_thread::yield();
        throw std::runtime_error{"the second time"};
      }),
                   std::runtime_error);
    }};
    ASSERT_TRUE(eventually([&] { return entered.load(); }));
    const std::jthread a{[&] { o.call([&] { ++runs; }); }};
    const std::jthread b{[&] { o.call([&] { ++runs; }); }};
    ASSERT_TRUE(waited_for(o, 2));
    fail = true;
  }
  EXPECT_TRUE(o.is_done());
  EXPECT_EQ(runs, 3);
}

TEST(once, a_turn_that_was_not_done_is_given_up) {
  once o;
  {
    const once_turn turn = o.begin();
    EXPECT_TRUE(static_cast<bool>(turn));
    EXPECT_EQ(o.holder(), current_agent().id());
  }
  EXPECT_EQ(o.holder(), 0U);
  once_turn turn = o.begin();
  once_turn moved = std::move(turn);
  EXPECT_TRUE(static_cast<bool>(moved));
  moved.done();
  EXPECT_FALSE(static_cast<bool>(moved));
  EXPECT_TRUE(o.is_done());
  EXPECT_FALSE(static_cast<bool>(o.begin()));
}

TEST(once, try_begin_does_not_wait) {
  once o;
  once_turn turn = o.try_begin();
  EXPECT_TRUE(static_cast<bool>(turn));
  EXPECT_FALSE(static_cast<bool>(o.try_begin()));
  std::jthread{[&] { EXPECT_FALSE(static_cast<bool>(o.try_begin())); }}.join();
  turn.done();
  EXPECT_FALSE(static_cast<bool>(o.try_begin()));
}

// All try after a failure: the task that was first in the queue does not run, and keeps nobody waiting.
TEST(once, a_busy_executor_does_not_keep_the_turn_from_others) {
  once o;
  manual_executor busy;
  std::optional<once_turn> turn{o.begin()};
  started<bool> first{busy, look_for_a_turn(o)};
  busy.run_all();
  ASSERT_TRUE(waited_for(o, 1));
  {
    const std::jthread second{[&] { o.call([] {}); }};
    ASSERT_TRUE(waited_for(o, 2));
    turn.reset();
  }
  EXPECT_TRUE(o.is_done());
  busy.run_all();
  ASSERT_TRUE(first.ends());
  EXPECT_FALSE(first.value());
}

TEST(once, waits_name_who_is_at_it) {
  once o{"set up"};
  once_turn turn = o.begin();
  EXPECT_EQ(current_agent().held(), 1U);
  EXPECT_EQ(current_agent().holds().at(0).how.kind(), resource_kind::once);
  loop_thread loop;
  started<bool> in_task{loop.where(), look_for_a_turn(o)};
  {
    const std::jthread waiter{[&] { o.call([] {}); }};
    ASSERT_TRUE(waited_for(o, 2));
    for (const park::wait_info& wait : test::waits_for(&o)) {
      EXPECT_EQ(wait.holder, current_agent().id());
      EXPECT_EQ(wait.resource_name, "set up");
      EXPECT_EQ(wait.waits_for, resource_kind::once);
    }
    turn.done();
  }
  ASSERT_TRUE(in_task.ends());
  EXPECT_EQ(current_agent().held(), 0U);
}

TEST(once, a_circle_of_them_is_found_and_can_be_broken) {
  const test::makes_deadlocks deliberate;
  watch::settings wanted;
  wanted.on_deadlock = watch::policy::break_it;
  wanted.log = false;
  watch::configure(wanted);
  std::atomic<int> found{0};
  once first{"first"};
  once second{"second"};
  latch both{2};
  std::expected<void, wait_error> broken;
  {
    const watch::subscription reports = watch::on_report([&](const watch::report& each) {
      if (each.what == watch::problem::deadlock && each.how_sure == watch::confidence::certain) ++found;
    });
    const std::jthread one{[&] {
      first.call([&] {
        both.arrive_and_wait();
        second.call([] {});
      });
    }};
    const std::jthread other{[&] {
      second.call([&] {
        both.arrive_and_wait();
        broken = first.call_until([] {}, {});  // the one that can say so
      });
    }};
  }
  watch::configure(watch::settings::from_environment());
  EXPECT_EQ(found, 1);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error(), wait_error::deadlock);
  EXPECT_TRUE(first.is_done());
  EXPECT_TRUE(second.is_done());
}

TEST(once, a_deadline_and_a_stop_end_a_wait) {
  once o;
  once_turn turn = o.begin();
  std::stop_source stop;
  std::jthread{[&] {
    const auto late = o.call_until([] {}, deadline::after(2ms));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error(), wait_error::timeout);
  }}.join();
  {
    const std::jthread waiter{[&] {
      const auto stopped = o.begin_until({}, stop.get_token());
      ASSERT_FALSE(stopped);
      EXPECT_EQ(stopped.error(), wait_error::stopped);
    }};
    ASSERT_TRUE(waited_for(o));
    stop.request_stop();
  }
  turn.done();
  EXPECT_TRUE(o.call_until([] {}, deadline::at_ns(1), stop.get_token()));
  once free;
  int runs = 0;
  EXPECT_TRUE(free.call_until([&] { ++runs; }, deadline::at_ns(1), stop.get_token()));
  EXPECT_EQ(runs, 1);
}

TEST(once, a_deadline_and_a_stop_end_a_tasks_wait) {
  once o;
  once_turn turn = o.begin();
  const auto begin_until = [](once& which, deadline until, std::stop_token token) -> task<wait_error> {
    const auto had = co_await which.async_begin_until(until, std::move(token));
    co_return had ? wait_error::closed : had.error();
  };
  EXPECT_EQ(sync_wait(begin_until(o, deadline::after(2ms), {})), wait_error::timeout);
  loop_thread loop;
  std::stop_source stop;
  started<wait_error> waiter{loop.where(), begin_until(o, {}, stop.get_token())};
  ASSERT_TRUE(waited_for(o));
  stop.request_stop();
  ASSERT_TRUE(waiter.ends());
  EXPECT_EQ(waiter.value(), wait_error::stopped);
  started<bool> unwound{loop.where(), look_for_a_turn(o)};
  ASSERT_TRUE(waited_for(o));
  unwound.stop();
  ASSERT_TRUE(unwound.ends());
  EXPECT_TRUE(unwound.was_stopped());
  turn.done();
  EXPECT_EQ(sync_wait(begin_until(o, deadline::at_ns(1), {})), wait_error::closed);
}

TEST(once, a_task_stopped_within_lets_the_next_one_try) {
  once o;
  loop_thread loop;
  const auto wait_within = [](once& which) -> task<void> {
    event never;
    const once_turn turn = co_await which.async_begin();
    co_await never.async_wait();
  };
  started<void> at_it{loop.where(), wait_within(o)};
  ASSERT_TRUE(eventually([&] { return o.holder() != 0; }));
  int runs = 0;
  {
    const std::jthread next{[&] { o.call([&] { ++runs; }); }};
    ASSERT_TRUE(waited_for(o));
    at_it.stop();
  }
  ASSERT_TRUE(at_it.ends());
  EXPECT_TRUE(at_it.was_stopped());
  EXPECT_EQ(runs, 1);
}

TEST(once, a_thread_that_ends_within_lets_the_next_one_try) {
  once o;
  pthread_t thread{};
  const auto run = [](void* which) -> void* {
    static_cast<once*>(which)->call([] { pthread_exit(nullptr); });
    return which;
  };
  ASSERT_EQ(pthread_create(&thread, nullptr, run, &o), 0);
  void* how = &o;
  ASSERT_EQ(pthread_join(thread, &how), 0);
  EXPECT_EQ(how, nullptr);
  EXPECT_FALSE(o.is_done());
  int runs = 0;
  o.call([&] { ++runs; });
  EXPECT_EQ(runs, 1);
}

// The one that is at it may still be inside done() when the other destroys it.
TEST(once, may_be_destroyed_by_whom_done_let_go) {
  std::atomic<once*> offered{nullptr};
  std::atomic<bool> begun{false};
  const std::jthread other{[&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      once* const given = offered.exchange(nullptr);
      std::this_thread::yield();
      if (given == nullptr) continue;
      once_turn turn = given->begin();
      begun = true;
      turn.done();
    }
  }};
  for (int i = 0; i < 600; ++i) {
    auto o = std::make_unique<once>("short-lived");
    offered = o.get();
    while (!begun.exchange(false)) std::this_thread::yield();
    o->call([] { ADD_FAILURE() << "it is the other's turn"; });
  }
}

// --- fork ---

[[noreturn]] void fork_while_another_is_at_it() {
  constinit static once o;
  std::thread{[] {
    const once_turn turn = o.begin();
    while (true) std::this_thread::yield();
  }}.detach();
  if (!eventually([] { return o.holder() != 0; })) std::_Exit(3);
  const pid_t pid = fork();
  if (pid != 0) {
    int status = 0;
    waitpid(pid, &status, 0);
    std::_Exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
  }
  const once_turn turn = o.try_begin();
  std::_Exit(!turn && !o.is_done() && o.holder() != 0 && o.holder() != current_agent().id() ? 0 : 4);
}

using once_fork = test::misuse;

TEST_F(once_fork, what_another_thread_was_at_stays_so_in_the_child) {
  EXPECT_EXIT(fork_while_another_is_at_it(), testing::ExitedWithCode(0), "");
}

// --- misuse ---

using once_misuse = test::misuse;

TEST_F(once_misuse, calling_it_from_within_is_fatal) {
  EXPECT_DEATH(
      {
        once o;
        o.call([&] { o.call([] {}); });
      },
      "a once was called from within its own function");
}

TEST_F(once_misuse, a_task_that_calls_it_from_within_is_fatal) {
  const auto twice = [](once& o) -> task<void> {
    const once_turn turn = co_await o.async_begin();
    const once_turn again = co_await o.async_begin();
  };
  once o;
  EXPECT_DEATH(sync_wait(twice(o)), "a once was called from within its own function");
}

void end_anothers_turn() {
  once o;
  once_turn turn = o.begin();
  std::jthread{[&] { turn.done(); }}.join();
}

TEST_F(once_misuse, ending_anothers_turn_is_fatal) {
  EXPECT_DEATH(end_anothers_turn(), "a once was ended by another agent than the one that is at it");
}

TEST_F(once_misuse, ending_an_empty_turn_is_fatal) { EXPECT_DEATH(once_turn{}.done(), "there is no turn to end"); }

void destroy_during_a_turn() {
  auto* o = new once;
  const once_turn turn = o->begin();
  delete o;
}

void destroy_while_a_thread_waits() {
  auto* o = new once;
  once_turn turn = o->begin();
  std::thread waiter{[=] { o->call([] {}); }};
  (void)waited_for(*o);
  delete o;
  waiter.join();
}

TEST_F(once_misuse, destroying_it_during_a_turn_is_fatal) {
  EXPECT_DEATH(destroy_during_a_turn(), "a once was destroyed while somebody is at it");
}

TEST_F(once_misuse, destroying_what_is_waited_for_is_fatal) {
  EXPECT_DEATH(destroy_while_a_thread_waits(), "a once was destroyed while somebody is at it");
}

TEST_F(once_misuse, a_turn_that_lasts_until_exit_is_no_misuse) {
  EXPECT_EXIT(
      {
        static once o;
        static auto* const turn = new once_turn{o.begin()};
        std::thread{[] { o.call([] {}); }}.detach();
        (void)waited_for(o);
        std::exit(*turn ? 0 : 1);
      },
      testing::ExitedWithCode(0), "^$");
}

}  // namespace
}  // namespace heddle
