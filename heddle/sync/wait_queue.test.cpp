#include <heddle/sync/wait_queue.hpp>

#include <gtest/gtest.h>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/pot.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
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
using test::pot;
using test::started;
using test::waited_for;

// [example]
/// Counts up to `most`: who would go past it waits until there is room.
class bounded_counter {
 public:
  explicit bounded_counter(int most) : most_{most} {}

  void add(int n) {
    room_.wait([=, this] { return fits(n); });
  }

  /// False when the deadline came first, or `stop` fired.
  bool add_until(int n, deadline until, const std::stop_token& stop = {}) {
    return room_.wait_until([=, this] { return fits(n); }, until, stop).has_value();
  }

  /// For tasks: `co_await counter.async_add(n);`
  auto async_add(int n) {
    return room_.async_wait([=, this] { return fits(n); });
  }

  /// All who wait look again, because one may want less than the one before it.
  void remove(int n) {
    room_.wake_all([=, this] { count_ -= n; });
  }

 private:
  bool fits(int n) {
    if (count_ + n > most_) return false;
    count_ += n;
    return true;
  }

  const int most_;
  int count_ = 0;  // read and changed under room_'s lock only
  wait_queue room_{"room in a counter"};
};
// [/example]

task<void> add_and_remove(bounded_counter& counter, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    co_await counter.async_add(2);
    co_await this_task::yield();
    counter.remove(2);
  }
}

TEST(wait_queue, threads_and_tasks_stand_in_one_queue) {
  constexpr int rounds = 500;
  bounded_counter counter{3};
  {
    loop_thread one;
    loop_thread other;
    std::vector<started<void>> tasks;
    for (int i = 0; i < 3; ++i) tasks.emplace_back(one.where(), add_and_remove(counter, rounds));
    for (int i = 0; i < 2; ++i) tasks.emplace_back(other.where(), add_and_remove(counter, rounds));
    for (int i = 0; i < rounds; ++i) {
      counter.add(1 + i % 3);
      counter.remove(1 + i % 3);
    }
    for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  }
  counter.add(3);
  EXPECT_FALSE(counter.add_until(1, deadline::after(1ms)));
}

/// Goes round between two threads and two tasks, each of which waits for its own turn.
struct round_robin {
  static constexpr int rounds = 1'000;
  wait_queue where{"turns"};
  int turn = 0;  // under its lock

  bool is_mine(int me) const { return turn % 4 == me; }
  void pass() {
    where.wake_all([this] { ++turn; });
  }
  void play(int me) {
    for (int i = 0; i < rounds; ++i) {
      where.wait([=, this] { return is_mine(me); });
      pass();
    }
  }
  task<void> play_in_task(int me) {
    for (int i = 0; i < rounds; ++i) {
      co_await where.async_wait([=, this] { return is_mine(me); });
      pass();
    }
  }
};

TEST(wait_queue, no_wake_up_is_lost) {
  round_robin game;
  loop_thread one;
  loop_thread other;
  const started<void> second{one.where(), game.play_in_task(1)};
  const started<void> third{other.where(), game.play_in_task(2)};
  {
    const std::jthread fourth{[&] { game.play(3); }};
    game.play(0);
  }
  EXPECT_TRUE(second.ends());
  EXPECT_TRUE(third.ends());
  EXPECT_EQ(game.turn, 4 * round_robin::rounds);
}

TEST(wait_queue, wakes_the_oldest_first) {
  pot p;
  manual_executor loop;
  const std::jthread a = p.taker('a');
  ASSERT_TRUE(waited_for(p.where, 1));
  const started<void> b{loop, p.taker_task('b')};
  loop.run_all();
  ASSERT_TRUE(waited_for(p.where, 2));
  const std::jthread c = p.taker('c');
  ASSERT_TRUE(waited_for(p.where, 3));
  const started<void> d{loop, p.taker_task('d')};
  loop.run_all();
  ASSERT_TRUE(waited_for(p.where, 4));
  p.put();
  ASSERT_TRUE(eventually([&] { return p.seen(&pot::takers).size() == 1; }));
  EXPECT_EQ(p.where.hand_over(1, [&](std::size_t) { p.takers.push_back('b'); }), 1U);
  loop.run_all();
  EXPECT_TRUE(b.ends());
  EXPECT_EQ(p.where.wake(2, [&] { p.things += 2; }), 2U);
  loop.run_all();
  EXPECT_TRUE(d.ends());
  ASSERT_TRUE(eventually([&] { return p.seen(&pot::takers).size() == 4; }));
  const std::vector<char> takers = p.seen(&pot::takers);
  EXPECT_EQ(takers[0], 'a');
  EXPECT_EQ(takers[1], 'b');
}

// The one that gives up does so between the change and the wake, and cannot leave before the wake has passed it.
TEST(wait_queue, one_that_gives_up_does_not_use_up_a_wake) {
  pot p;
  std::stop_source stop;
  std::expected<void, wait_error> of_first;
  {
    const std::jthread first{[&] { of_first = p.where.wait_until(p.taking('a'), {}, stop.get_token()); }};
    ASSERT_TRUE(waited_for(p.where, 1));
    const std::jthread second = p.taker('b');
    ASSERT_TRUE(waited_for(p.where, 2));
    EXPECT_EQ(p.where.wake_one([&] {
      ++p.things;
      stop.request_stop();
    }),
              1U);
  }
  ASSERT_FALSE(of_first);
  EXPECT_EQ(of_first.error(), wait_error::stopped);
  EXPECT_EQ(p.seen(&pot::takers), std::vector<char>{'b'});
}

TEST(wait_queue, one_that_was_woken_in_vain_keeps_its_place) {
  pot p;
  manual_executor loop;
  const started<void> first{loop, p.taker_task('a')};
  loop.run_all();
  const started<void> second{loop, p.taker_task('b')};
  loop.run_all();
  ASSERT_TRUE(waited_for(p.where, 2));
  EXPECT_EQ(p.where.wake_one([&] { ++p.things; }), 1U);
  EXPECT_TRUE(p.where.try_wait(p.taking('n')));  // a newcomer is faster
  loop.run_all();
  ASSERT_TRUE(waited_for(p.where, 2));
  p.put();
  loop.run_all();
  EXPECT_TRUE(first.has_ended());
  EXPECT_FALSE(second.has_ended());
  const std::jthread third = p.taker('c');
  ASSERT_TRUE(waited_for(p.where, 2));
  p.where.wake_one([] {});
  loop.run_all();
  p.where.hand_over(1, [&](std::size_t) { p.takers.push_back('b'); });
  loop.run_all();
  EXPECT_TRUE(second.ends());
  p.put();
  ASSERT_TRUE(eventually([&] { return p.seen(&pot::takers).size() == 4; }));
  EXPECT_EQ(p.seen(&pot::takers), (std::vector<char>{'n', 'a', 'b', 'c'}));
}

TEST(wait_queue, a_thread_that_was_woken_in_vain_keeps_its_place) {
  pot p;
  const std::jthread first = p.taker('a');
  ASSERT_TRUE(waited_for(p.where, 1));
  const std::jthread second = p.taker('b');
  ASSERT_TRUE(waited_for(p.where, 2));
  const int asked = p.seen(&pot::asked);
  p.where.wake_one([] {});
  ASSERT_TRUE(eventually([&] { return p.seen(&pot::asked) == asked + 1; }));
  ASSERT_TRUE(waited_for(p.where, 2));
  p.put();
  ASSERT_TRUE(eventually([&] { return !p.seen(&pot::takers).empty(); }));
  EXPECT_EQ(p.seen(&pot::takers).front(), 'a');
  p.put();
}

TEST(wait_queue, one_that_gives_up_leaves_nothing_behind) {
  pot p;
  const auto late = p.where.wait_until(p.taking('a'), deadline::after(2ms));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), wait_error::timeout);
  std::stop_source stop;
  std::expected<void, wait_error> stopped;
  {
    const std::jthread waiter{[&] { stopped = p.where.wait_until(p.taking('b'), {}, stop.get_token()); }};
    ASSERT_TRUE(waited_for(p.where));
    stop.request_stop();
  }
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error(), wait_error::stopped);
  const auto in_task = [](pot& from, deadline until, std::stop_token token) -> task<std::expected<void, wait_error>> {
    co_return co_await from.where.async_wait_until(from.taking('c'), until, std::move(token));
  };
  const auto late_task = sync_wait(in_task(p, deadline::after(2ms), {}));
  ASSERT_FALSE(late_task);
  EXPECT_EQ(late_task.error(), wait_error::timeout);
  loop_thread loop;
  std::stop_source stop_task;
  started<std::expected<void, wait_error>> stopped_task{loop.where(), in_task(p, {}, stop_task.get_token())};
  ASSERT_TRUE(waited_for(p.where));
  stop_task.request_stop();
  ASSERT_TRUE(stopped_task.ends());
  EXPECT_EQ(stopped_task.value().error(), wait_error::stopped);
  EXPECT_FALSE(p.where.has_waiters());
  EXPECT_EQ(p.where.wake_all([&] { ++p.things; }), 0U);
  EXPECT_EQ(p.seen(&pot::things), 1);
}

TEST(wait_queue, a_stopped_task_leaves_nothing_behind) {
  pot p;
  loop_thread loop;
  started<void> waiter{loop.where(), p.taker_task('a')};
  ASSERT_TRUE(waited_for(p.where));
  waiter.stop();
  ASSERT_TRUE(waiter.ends());
  EXPECT_TRUE(waiter.was_stopped());
  EXPECT_FALSE(p.where.has_waiters());
  EXPECT_EQ(p.where.wake_all([&] { ++p.things; }), 0U);
  EXPECT_EQ(p.seen(&pot::things), 1);
}

TEST(wait_queue, what_is_there_is_had_even_late) {
  pot p;
  p.things = 2;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(p.where.wait_until(p.taking('a'), deadline::at_ns(1), stop.get_token()));
  const auto in_task = [](pot& from, std::stop_token token) -> task<bool> {
    const auto had = co_await from.where.async_wait_until(from.taking('b'), deadline::at_ns(1), std::move(token));
    co_return had.has_value();
  };
  EXPECT_TRUE(sync_wait(in_task(p, stop.get_token())));
  EXPECT_FALSE(p.where.wait_until(p.taking('c'), deadline::at_ns(1)));
  EXPECT_FALSE(p.where.wait_until(p.taking('c'), {}, stop.get_token()));
}

TEST(wait_queue, try_wait_only_asks) {
  pot p;
  EXPECT_FALSE(p.where.try_wait(p.taking('a')));
  EXPECT_FALSE(p.where.has_waiters());
  p.put();
  EXPECT_TRUE(p.where.try_wait(p.taking('a')));
}

TEST(wait_queue, what_is_handed_over_is_not_taken_by_a_newcomer) {
  pot p;
  manual_executor busy;
  const started<void> waiter{busy, p.taker_task('a')};
  busy.run_all();
  ASSERT_TRUE(waited_for(p.where));
  p.where.hand_over(1, [&](std::size_t n) { p.things += n == 0 ? 1 : 0; });
  EXPECT_FALSE(p.where.try_wait(p.taking('n')));
  busy.run_all();
  EXPECT_TRUE(waiter.ends());
}

TEST(wait_queue, who_is_handed_over_to_does_not_ask) {
  pot p;
  {
    const std::jthread waiter = p.taker('a');
    ASSERT_TRUE(waited_for(p.where));
    const int asked = p.seen(&pot::asked);
    p.where.hand_over(1, [](std::size_t) {});
    while (p.where.has_waiters()) std::this_thread::yield();
    EXPECT_EQ(p.seen(&pot::asked), asked);
  }
  EXPECT_TRUE(p.takers.empty());
}

TEST(wait_queue, a_hand_over_says_how_many_there_were) {
  pot p;
  std::size_t told = 9;
  const auto tell = [&](std::size_t n) { told = n; };
  EXPECT_EQ(p.where.hand_over(2, tell), 0U);
  EXPECT_EQ(told, 0U);
  {
    const std::jthread a = p.taker('a');
    const std::jthread b = p.taker('b');
    const std::jthread c = p.taker('c');
    ASSERT_TRUE(waited_for(p.where, 3));
    EXPECT_EQ(p.where.hand_over(2, tell), 2U);
    EXPECT_EQ(told, 2U);
    EXPECT_EQ(p.where.hand_over(SIZE_MAX, tell), 1U);
    EXPECT_EQ(told, 1U);
  }
}

TEST(wait_queue, a_busy_executor_does_not_strand_those_behind) {
  pot p;
  manual_executor busy;
  manual_executor busy_too;
  const started<void> first{busy, p.taker_task('a')};
  busy.run_all();
  const started<void> second{busy_too, p.taker_task('b')};
  busy_too.run_all();
  ASSERT_TRUE(waited_for(p.where, 2));
  {
    const std::jthread third = p.taker('c');
    ASSERT_TRUE(waited_for(p.where, 3));
    p.put();  // wakes the first task, whose executor is not run, and after it the second, likewise
  }
  EXPECT_EQ(p.seen(&pot::takers), std::vector<char>{'c'});
  busy.run_all();
  busy_too.run_all();
  ASSERT_TRUE(waited_for(p.where, 2));
  p.where.wake_all([&] { p.things += 2; });
  busy.run_all();
  busy_too.run_all();
  EXPECT_TRUE(first.ends());
  EXPECT_TRUE(second.ends());
}

TEST(wait_queue, wake_all_lets_in_whoever_is_ready) {
  pot p;
  const std::jthread large = p.taker('l', 3);
  ASSERT_TRUE(waited_for(p.where, 1));
  {
    const std::jthread small = p.taker('s', 1);
    ASSERT_TRUE(waited_for(p.where, 2));
    EXPECT_EQ(p.where.wake_all([&] { ++p.things; }), 2U);
  }
  ASSERT_TRUE(waited_for(p.where, 1));
  p.put(3);
}

TEST(wait_queue, may_be_destroyed_by_whom_the_last_wake_let_in) {
  std::atomic<pot*> offered{nullptr};
  const std::jthread waker{[&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      if (pot* given = offered.exchange(nullptr); given != nullptr) given->put();
      std::this_thread::yield();
    }
  }};
  for (int i = 0; i < 1'000; ++i) {
    auto p = std::make_unique<pot>();
    offered = p.get();
    p->where.wait([&] { return p->take('a'); });
  }
}

TEST(wait_queue, may_be_destroyed_once_all_were_handed_over_to) {
  manual_executor loop;
  auto p = std::make_unique<pot>();
  const started<void> in_task{
      loop, [](pot& from) -> task<void> { co_await from.where.async_wait([] { return false; }); }(*p)};
  loop.run_all();
  const std::jthread in_thread{[where = &p->where] { where->wait([] { return false; }); }};
  ASSERT_TRUE(waited_for(p->where, 2));
  p->where.hand_over(2, [](std::size_t) {});
  p.reset();
  loop.run_all();
  EXPECT_TRUE(in_task.ends());
}

}  // namespace
}  // namespace heddle
