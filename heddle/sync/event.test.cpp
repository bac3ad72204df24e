#include <heddle/sync/event.hpp>

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
#include <memory>
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

task<void> wait_for(event& e) { co_await e.async_wait(); }

task<std::expected<void, wait_error>> wait_until(event& e, deadline until, std::stop_token stop = {}) {
  co_return co_await e.async_wait_until(until, std::move(stop));
}

TEST(event, lets_go_threads_and_tasks) {
  event e;
  loop_thread loop;
  const started<void> in_task{loop.where(), wait_for(e)};
  {
    const std::jthread a{[&] { e.wait(); }};
    const std::jthread b{[&] { e.wait(); }};
    ASSERT_TRUE(waited_for(e, 3));
    EXPECT_FALSE(e.is_set());
    e.set();
  }
  EXPECT_TRUE(in_task.ends());
  EXPECT_TRUE(e.is_set());
  e.wait();
  sync_wait(wait_for(e));
}

// Nobody waits in the first half: only the event orders what is plain.
TEST(event, publishes_what_was_done_before_it_was_set) {
  (void)current_agent().id();
  for (int i = 0; i < 300; ++i) {
    event e{i % 2 == 0 ? event_reset::manual : event_reset::automatic};
    int plain = 0;
    const std::jthread before{[&] {
      plain = 1;
      e.set();
    }};
    if (i % 3 == 0) {
      while (!e.is_set()) std::this_thread::yield();
    } else if (i % 3 == 1) {
      while (!e.try_wait()) std::this_thread::yield();
    } else {
      e.wait();
    }
    EXPECT_EQ(plain, 1);
  }
}

TEST(event, a_reset_right_after_does_not_keep_waiters_back) {
  event e;
  manual_executor loop;
  const started<void> in_task{loop, wait_for(e)};
  loop.run_all();
  {
    const std::jthread waiter{[&] { e.wait(); }};
    ASSERT_TRUE(waited_for(e, 2));
    e.set();
    EXPECT_TRUE(e.reset());
  }
  loop.run_all();
  EXPECT_TRUE(in_task.ends());
  EXPECT_FALSE(e.is_set());
}

TEST(event, setting_and_resetting_twice_is_once) {
  event e;
  EXPECT_FALSE(e.reset());
  e.set();
  e.set();
  EXPECT_TRUE(e.is_set());
  EXPECT_TRUE(e.reset());
  EXPECT_FALSE(e.reset());
  EXPECT_FALSE(e.is_set());
  event automatic{event_reset::automatic};
  automatic.set();
  automatic.set();
  EXPECT_TRUE(automatic.is_set());
  automatic.wait();
  EXPECT_FALSE(automatic.is_set());
  EXPECT_FALSE(automatic.reset());
}

TEST(event, try_wait_does_not_wait) {
  event e;
  EXPECT_FALSE(e.try_wait());
  e.set();
  EXPECT_TRUE(e.try_wait());
  EXPECT_TRUE(e.try_wait());
  event automatic{event_reset::automatic};
  EXPECT_FALSE(automatic.try_wait());
  automatic.set();
  EXPECT_TRUE(automatic.try_wait());
  EXPECT_FALSE(automatic.try_wait());
}

TEST(event, an_automatic_one_is_handed_to_the_oldest) {
  event e{"handed over", event_reset::automatic};
  manual_executor loop;
  const started<void> first{loop, wait_for(e)};
  loop.run_all();
  const started<void> second{loop, wait_for(e)};
  loop.run_all();
  ASSERT_TRUE(waited_for(e, 2));
  e.set();
  EXPECT_FALSE(e.try_wait());  // the first has not run yet, but the event is its own
  EXPECT_FALSE(e.is_set());
  loop.run_all();
  EXPECT_TRUE(first.has_ended());
  EXPECT_FALSE(second.has_ended());
  e.set();
  loop.run_all();
  EXPECT_TRUE(second.ends());
  EXPECT_FALSE(e.is_set());
}

TEST(event, each_set_of_an_automatic_one_lets_one_go) {
  constexpr int waiters = 4;
  event e{event_reset::automatic};
  std::atomic<int> gone{0};
  loop_thread loop;
  const auto wait_and_count = [](event& one, std::atomic<int>& count) -> task<void> {
    co_await one.async_wait();
    ++count;
  };
  for (int round = 0; round < 100; ++round) {
    gone = 0;
    const started<void> in_task{loop.where(), wait_and_count(e, gone)};
    std::vector<std::jthread> threads;
    for (int t = 1; t < waiters; ++t) {
      threads.emplace_back([&] {
        e.wait();
        ++gone;
      });
    }
    ASSERT_TRUE(waited_for(e, waiters));
    for (int i = 0; i < waiters; ++i) e.set();
    ASSERT_TRUE(eventually([&] { return gone == waiters; }));
    EXPECT_FALSE(e.is_set());
  }
}

TEST(event, an_automatic_one_is_a_signal_back_and_forth) {
  constexpr int rounds = 3'000;
  event ping{event_reset::automatic};
  event pong{event_reset::automatic};
  int plain = 0;
  {
    const std::jthread other{[&] {
      for (int i = 0; i < rounds; ++i) {
        ping.wait();
        ++plain;
        pong.set();
      }
    }};
    for (int i = 0; i < rounds; ++i) {
      ++plain;
      ping.set();
      pong.wait();
    }
  }
  EXPECT_EQ(plain, 2 * rounds);
}

TEST(event, one_that_gives_up_does_not_use_up_a_set) {
  for (int round = 0; round < 200; ++round) {
    event e{event_reset::automatic};
    std::stop_source stop;
    bool second_had_it = false;
    {
      const std::jthread first{[&] { (void)e.wait_until({}, stop.get_token()); }};
      ASSERT_TRUE(waited_for(e, 1));
      const std::jthread second{[&] { second_had_it = e.wait_until(deadline::after(test::patience)).has_value(); }};
      ASSERT_TRUE(waited_for(e, 2));
      const std::jthread stopper{[&] { stop.request_stop(); }};
      e.set();
      // The stop ends the first if the set has not; then the set is for the second, which otherwise gets one of its own.
      ASSERT_TRUE(eventually([&] { return test::waits_for(&e).size() <= 1; }));
      if (!test::waits_for(&e).empty()) e.set();
    }
    EXPECT_TRUE(second_had_it);
    EXPECT_FALSE(e.is_set());
  }
}

TEST(event, a_deadline_and_a_stop_end_a_wait) {
  event e;
  const deadline soon = deadline::after(2ms);
  const auto late = e.wait_until(soon);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), wait_error::timeout);
  EXPECT_TRUE(soon.has_passed());
  std::stop_source stop;
  std::expected<void, wait_error> stopped;
  {
    const std::jthread waiter{[&] { stopped = e.wait_until({}, stop.get_token()); }};
    ASSERT_TRUE(waited_for(e));
    stop.request_stop();
  }
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error(), wait_error::stopped);
  EXPECT_TRUE(test::waits_for(&e).empty());
}

TEST(event, a_deadline_and_a_stop_end_a_tasks_wait) {
  event e;
  const auto late = sync_wait(wait_until(e, deadline::after(2ms)));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), wait_error::timeout);
  loop_thread loop;
  std::stop_source stop;
  started<std::expected<void, wait_error>> waiter{loop.where(), wait_until(e, {}, stop.get_token())};
  ASSERT_TRUE(waited_for(e));
  stop.request_stop();
  ASSERT_TRUE(waiter.ends());
  EXPECT_EQ(waiter.value().error(), wait_error::stopped);
  started<void> unwound{loop.where(), wait_for(e)};
  ASSERT_TRUE(waited_for(e));
  unwound.stop();
  ASSERT_TRUE(unwound.ends());
  EXPECT_TRUE(unwound.was_stopped());
  EXPECT_TRUE(test::waits_for(&e).empty());
}

TEST(event, what_is_set_is_had_even_late) {
  std::stop_source stop;
  stop.request_stop();
  for (const event_reset how : {event_reset::manual, event_reset::automatic}) {
    event e{how};
    e.set();
    EXPECT_TRUE(e.wait_until(deadline::at_ns(1), stop.get_token()));
    EXPECT_EQ(e.is_set(), how == event_reset::manual);
    e.set();
    EXPECT_TRUE(sync_wait(wait_until(e, deadline::at_ns(1), stop.get_token())));
    e.reset();
    EXPECT_FALSE(e.wait_until(deadline::at_ns(1)));
    EXPECT_FALSE(e.wait_until({}, stop.get_token()));
  }
}

// The setter is still inside set() when the other side destroys the event.
TEST(event, may_be_destroyed_by_whom_set_let_go) {
  std::atomic<event*> offered{nullptr};
  const std::jthread setter{[&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      if (event* given = offered.exchange(nullptr); given != nullptr) given->set();
      std::this_thread::yield();
    }
  }};
  for (int i = 0; i < 600; ++i) {
    auto e = std::make_unique<event>(i % 2 == 0 ? event_reset::manual : event_reset::automatic);
    offered = e.get();
    if (i % 3 == 0) {
      while (!e->is_set()) std::this_thread::yield();
    } else {
      e->wait();
    }
  }
}

TEST(event, its_waits_are_in_the_picture) {
  constinit static event named{"a bell"};
  const std::jthread waiter{[] { named.wait(); }};
  ASSERT_TRUE(waited_for(named));
  const park::wait_info wait = test::waits_for(&named).front();
  EXPECT_EQ(wait.resource_name, "a bell");
  EXPECT_EQ(wait.waits_for, resource_kind::event);
  EXPECT_EQ(wait.holder, 0U);
  EXPECT_NE(wait.site.find("event.test.cpp:"), std::string::npos);
  named.set();
}

// --- fork ---

[[noreturn]] void fork_while_another_waits() {
  static event e{event_reset::automatic};
  std::thread{[] { e.wait(); }}.detach();
  if (!waited_for(e)) std::_Exit(3);
  const pid_t pid = fork();
  if (pid != 0) {
    int status = 0;
    waitpid(pid, &status, 0);
    std::_Exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
  }
  e.set();
  std::_Exit(e.try_wait() ? 0 : 4);
}

using event_fork = test::misuse;

TEST_F(event_fork, the_child_passes_by_those_who_are_not_there) {
  EXPECT_EXIT(fork_while_another_waits(), testing::ExitedWithCode(0), "");
}

// --- misuse ---

using event_misuse = test::misuse;

void destroy_while_a_thread_waits() {
  auto* e = new event;
  std::thread waiter{[=] { e->wait(); }};
  (void)waited_for(*e);
  delete e;
  waiter.join();
}

TEST_F(event_misuse, destroying_what_is_waited_for_is_fatal) {
  EXPECT_DEATH(destroy_while_a_thread_waits(), "an event was destroyed while it is waited for");
}

TEST_F(event_misuse, a_wait_that_lasts_until_exit_is_no_misuse) {
  EXPECT_EXIT(
      {
        static event e;
        std::thread{[] { e.wait(); }}.detach();
        (void)waited_for(e);
        std::exit(0);
      },
      testing::ExitedWithCode(0), "^$");
}

}  // namespace
}  // namespace heddle
