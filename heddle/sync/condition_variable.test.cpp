#include <heddle/sync/condition_variable.hpp>

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
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::loop_thread;
using test::manual_executor;
using test::started;
using test::waited_for;

task<std::expected<void, wait_error>> wait_once(condition_variable& c, mutex& m, deadline until = {},
                                                std::stop_token stop = {}) {
  std::unique_lock lock = co_await m.async_lock();
  const auto result = co_await c.async_wait(lock, until, std::move(stop));
  EXPECT_TRUE(lock.owns_lock());
  EXPECT_TRUE(m.held_by_me());
  co_return result;
}

/// What the producers and consumers of the tests below share: a queue with two places.
struct store {
  static constexpr std::size_t places = 2;
  mutex m;
  condition_variable not_full;
  condition_variable not_empty;
  std::deque<int> items;
};

void put(store& s, int item) {
  std::unique_lock lock{s.m};
  s.not_full.wait(lock, [&] { return s.items.size() < store::places; });
  s.items.push_back(item);
  s.not_empty.notify_one();
}

int get(store& s) {
  std::unique_lock lock{s.m};
  s.not_empty.wait(lock, [&] { return !s.items.empty(); });
  const int item = s.items.front();
  s.items.pop_front();
  s.not_full.notify_one();
  return item;
}

task<void> put_all(store& s, int count) {
  for (int i = 1; i <= count; ++i) {
    std::unique_lock lock = co_await s.m.async_lock();
    while (s.items.size() >= store::places) (void)co_await s.not_full.async_wait(lock);
    s.items.push_back(i);
    s.not_empty.notify_one();
  }
}

task<long> get_all(store& s, int count) {
  long sum = 0;
  for (int i = 1; i <= count; ++i) {
    std::unique_lock lock = co_await s.m.async_lock();
    while (s.items.empty()) (void)co_await s.not_empty.async_wait(lock);
    sum += s.items.front();
    s.items.pop_front();
    s.not_full.notify_one();
  }
  co_return sum;
}

TEST(condition_variable, no_wake_up_is_lost) {
  constexpr int count = 2'000;
  constexpr long sum_of_one = static_cast<long>(count) * (count + 1) / 2;
  store s;
  loop_thread producing;
  loop_thread consuming;
  std::atomic<long> sum{0};
  started put_task{producing.where(), put_all(s, count)};
  started get_task{consuming.where(), get_all(s, count)};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        for (int i = 1; i <= count; ++i) put(s, i);
      });
      threads.emplace_back([&] {
        for (int i = 1; i <= count; ++i) sum += get(s);
      });
    }
  }
  EXPECT_TRUE(put_task.ends());
  ASSERT_TRUE(get_task.ends());
  EXPECT_EQ(sum + get_task.value(), 3 * sum_of_one);
  EXPECT_TRUE(s.items.empty());
}

/// Whoever posts to it loses the processor until what it has posted has got somewhere.
class overtaking_executor final : public executor {
 public:
  explicit overtaking_executor(const std::atomic<bool>& there) noexcept : there_{there} {}
  void post(work_item& item) noexcept override {
    loop_.where().post(item);
    EXPECT_TRUE(eventually([this] { return there_.load(); }));
  }
  [[nodiscard]] const char* name() const noexcept override { return "overtaking"; }

 private:
  const std::atomic<bool>& there_;
  loop_thread loop_;
};

TEST(condition_variable, a_notification_as_soon_as_the_lock_is_let_go_is_not_lost) {
  const auto wait = [](condition_variable& c, mutex& m) -> task<void> {
    std::unique_lock lock = co_await m.async_lock();
    co_await this_task::yield();
    (void)co_await c.async_wait(lock);
  };
  const auto notify = [](condition_variable& c, mutex& m, std::atomic<bool>& notified) -> task<void> {
    const std::unique_lock lock = co_await m.async_lock();
    c.notify_one();
    notified = true;
  };
  mutex m;
  condition_variable c;
  manual_executor ready;
  started waiter{ready, wait(c, m)};
  ASSERT_TRUE(ready.run_one());  // it holds the lock
  std::atomic<bool> notified{true};
  overtaking_executor overtaking{notified};
  started notifier{overtaking, notify(c, m, notified)};
  ASSERT_TRUE(waited_for(m));
  notified = false;
  ready.run_all();  // lets go of the lock, which posts the notifier
  EXPECT_TRUE(notifier.ends());
  ready.run_all();
  EXPECT_TRUE(waiter.has_ended());
  c.notify_one();
  ready.run_all();
}

TEST(condition_variable, a_thread_and_a_task_take_turns) {
  constexpr int rounds = 2'000;
  mutex m;
  condition_variable changed;
  int turn = 0;
  const auto odd = [](mutex& lock_of, condition_variable& c, int& now) -> task<void> {
    for (int i = 0; i < rounds; ++i) {
      std::unique_lock lock = co_await lock_of.async_lock();
      while (now % 2 == 0) (void)co_await c.async_wait(lock);
      ++now;
      c.notify_one();
    }
  };
  loop_thread loop;
  started task{loop.where(), odd(m, changed, turn)};
  for (int i = 0; i < rounds; ++i) {
    std::unique_lock lock{m};
    changed.wait(lock, [&] { return turn % 2 == 0; });
    ++turn;
    changed.notify_one();
  }
  EXPECT_TRUE(task.ends());
  EXPECT_EQ(turn, 2 * rounds);
}

TEST(condition_variable, notify_one_wakes_the_oldest) {
  mutex m;
  condition_variable c;
  manual_executor ready;
  std::vector<started<std::expected<void, wait_error>>> tasks;
  for (std::size_t i = 0; i < 3; ++i) {
    tasks.emplace_back(ready, wait_once(c, m));
    ready.run_all();
    ASSERT_TRUE(waited_for(c, i + 1));
  }
  for (std::size_t i = 0; i < 3; ++i) {
    c.notify_one();
    ready.run_all();
    EXPECT_TRUE(tasks[i].has_ended());
    EXPECT_EQ(test::waits_for(&c).size(), 2 - i);
  }
  c.notify_one();
  c.notify_all();
}

TEST(condition_variable, notify_all_wakes_threads_and_tasks) {
  mutex m;
  condition_variable c;
  loop_thread loop;
  std::atomic<int> woken{0};
  std::vector<std::jthread> threads;
  std::vector<started<std::expected<void, wait_error>>> tasks;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      std::unique_lock lock{m};
      c.wait(lock);
      ++woken;
    });
    tasks.emplace_back(loop.where(), wait_once(c, m));
  }
  ASSERT_TRUE(waited_for(c, 6));
  c.notify_all();
  for (auto& each : tasks) {
    ASSERT_TRUE(each.ends());
    EXPECT_TRUE(each.value());
  }
  threads.clear();
  EXPECT_EQ(woken, 3);
}

TEST(condition_variable, those_who_come_later_are_not_woken) {
  mutex m;
  condition_variable c;
  manual_executor ready;
  c.notify_one();
  c.notify_all();
  started waiter{ready, wait_once(c, m)};
  ready.run_all();
  ASSERT_TRUE(waited_for(c));
  c.notify_one();
  started later{ready, wait_once(c, m)};
  ready.run_all();
  EXPECT_TRUE(waiter.has_ended());
  EXPECT_FALSE(later.has_ended());
  c.notify_all();
  ready.run_all();
  EXPECT_TRUE(later.has_ended());
}

// A stopped task stands in the queue until it runs; a notification must go past it.
TEST(condition_variable, a_timeout_does_not_use_up_a_notification) {
  mutex m;
  condition_variable c;
  manual_executor slow;
  manual_executor ready;
  std::stop_source stop;
  started late{slow, wait_once(c, m, deadline::after(20ms))};
  started stopped{slow, wait_once(c, m, {}, stop.get_token())};
  slow.run_all();
  started waiter{ready, wait_once(c, m)};
  ready.run_all();
  stop.request_stop();
  ASSERT_TRUE(eventually([&] { return slow.pending() + (late.has_ended() ? 1 : 0) == 2; }));
  c.notify_one();
  ready.run_all();
  ASSERT_TRUE(waiter.has_ended());
  EXPECT_TRUE(waiter.value());
  slow.run_all();
  EXPECT_EQ(late.value().error(), wait_error::timeout);
  EXPECT_EQ(stopped.value().error(), wait_error::stopped);
}

TEST(condition_variable, the_lock_is_held_after_a_timeout) {
  mutex m;
  condition_variable c;
  std::unique_lock lock{m};
  const deadline until = deadline::after(3ms);
  EXPECT_EQ(c.wait_until(lock, until).error(), wait_error::timeout);
  EXPECT_TRUE(until.has_passed());
  EXPECT_TRUE(m.held_by_me());
  EXPECT_EQ(c.wait_until(lock, deadline::after(-1s)).error(), wait_error::timeout);
  EXPECT_TRUE(m.held_by_me());
  lock.unlock();
  EXPECT_EQ(sync_wait(wait_once(c, m, deadline::after(3ms))).error(), wait_error::timeout);
  EXPECT_EQ(sync_wait(wait_once(c, m, deadline::after(-1s))).error(), wait_error::timeout);
  EXPECT_EQ(m.holder(), 0U);
}

TEST(condition_variable, after_a_timeout_the_lock_is_waited_for) {
  mutex m;
  condition_variable c;
  std::atomic<bool> back{false};
  std::jthread waiter{[&] {
    std::unique_lock lock{m};
    EXPECT_EQ(c.wait_until(lock, deadline::after(2ms)).error(), wait_error::timeout);
    EXPECT_TRUE(m.held_by_me());
    back = true;
  }};
  ASSERT_TRUE(eventually([&] { return m.holder() == 0 && !test::waits_for(&c).empty(); }) || back);
  std::unique_lock mine{m};
  if (!back) {
    ASSERT_TRUE(waited_for(m));  // on its way out it waits for the mutex, and says so
    EXPECT_FALSE(back);
  }
  mine.unlock();
  waiter.join();
  EXPECT_TRUE(back);
}

TEST(condition_variable, the_lock_is_held_after_a_stop) {
  mutex m;
  condition_variable c;
  std::stop_source stop;
  std::jthread waiter{[&] {
    std::unique_lock lock{m};
    EXPECT_EQ(c.wait_until(lock, deadline::never(), stop.get_token()).error(), wait_error::stopped);
    EXPECT_TRUE(m.held_by_me());
    EXPECT_EQ(c.wait_until(lock, deadline::never(), stop.get_token()).error(), wait_error::stopped);
    EXPECT_TRUE(m.held_by_me());
  }};
  ASSERT_TRUE(waited_for(c));
  stop.request_stop();
  waiter.join();
  EXPECT_EQ(m.holder(), 0U);
}

/// Notes at its destruction whether the running agent holds the lock.
struct witness {
  mutex& m;
  bool& held;
  ~witness() { held = m.held_by_me(); }
};

task<void> wait_with_witness(condition_variable& c, mutex& m, bool& held_at_end) {
  std::unique_lock lock = co_await m.async_lock();
  const witness last{m, held_at_end};
  for (;;) (void)co_await c.async_wait(lock);
}

TEST(condition_variable, a_stopped_task_holds_the_lock_while_it_unwinds) {
  mutex m;
  condition_variable c;
  manual_executor ready;
  bool held = false;
  started waiter{ready, wait_with_witness(c, m, held)};
  ready.run_all();
  ASSERT_TRUE(waited_for(c));
  std::unique_lock mine{m};
  waiter.stop();
  ready.run_all();
  EXPECT_FALSE(waiter.has_ended()) << "it must wait for the lock first";
  ASSERT_TRUE(waited_for(m));
  EXPECT_TRUE(test::waits_for(&c).empty());
  mine.unlock();
  ready.run_all();
  ASSERT_TRUE(waiter.has_ended());
  EXPECT_TRUE(waiter.was_stopped());
  EXPECT_TRUE(held);
  EXPECT_EQ(m.holder(), 0U);
}

task<int> wait_late_until(condition_variable& c, mutex& m, const bool& taken) {
  std::unique_lock lock = co_await m.async_lock();
  int waits = 0;
  while (!taken && waits < 1'000'000) {
    const auto result = co_await c.async_wait(lock, deadline::at_ns(1));
    EXPECT_EQ(result, std::unexpected{wait_error::timeout});
    ++waits;
  }
  co_return waits;
}

TEST(condition_variable, a_late_wait_lets_go_of_the_lock) {
  mutex m;
  condition_variable c;
  bool taken = false;
  std::unique_lock mine{m};
  std::jthread other{[&] {
    const std::lock_guard lock{m};
    taken = true;
  }};
  ASSERT_TRUE(waited_for(m));
  mine.unlock();
  EXPECT_LT(sync_wait(wait_late_until(c, m, taken)), 1'000'000);
}

TEST(condition_variable, a_stop_while_the_lock_is_taken_again_waits_for_the_next_wait) {
  mutex m;
  condition_variable c;
  manual_executor ready;
  bool held = false;
  started waiter{ready, wait_with_witness(c, m, held)};
  ready.run_all();
  ASSERT_TRUE(waited_for(c));
  std::unique_lock mine{m};
  c.notify_one();
  ready.run_all();
  ASSERT_TRUE(waited_for(m));
  waiter.stop();
  EXPECT_EQ(ready.pending(), 0U) << "the stop must not end the wait for the lock";
  mine.unlock();
  ready.run_all();
  ASSERT_TRUE(waiter.has_ended());
  EXPECT_TRUE(waiter.was_stopped());
  EXPECT_TRUE(held);
  EXPECT_EQ(m.holder(), 0U);
}

TEST(condition_variable, a_stopped_task_that_waits_anew_unwinds_at_once) {
  mutex m;
  condition_variable c;
  std::stop_source stop;
  stop.request_stop();
  bool held = false;
  EXPECT_TRUE(sync_wait_outcome(wait_with_witness(c, m, held), {stop.get_token(), {}}).is_stopped());
  EXPECT_TRUE(held);
  EXPECT_EQ(m.holder(), 0U);
}

// A notified task takes the lock in its turn; until its executor runs it, others get the lock.
TEST(condition_variable, a_notified_task_on_a_busy_executor_does_not_keep_others_out) {
  mutex m;
  condition_variable c;
  manual_executor busy;
  started first{busy, wait_once(c, m)};
  started second{busy, wait_once(c, m)};
  busy.run_all();
  ASSERT_TRUE(waited_for(c, 2));
  std::unique_lock mine{m};
  c.notify_one();
  busy.run_all();
  ASSERT_TRUE(waited_for(m));
  c.notify_all();
  mine.unlock();
  std::jthread{[&] { const std::lock_guard held{m}; }}.join();
  EXPECT_FALSE(first.has_ended());
  EXPECT_FALSE(second.has_ended());
  busy.run_all();
  EXPECT_TRUE(first.has_ended());
  EXPECT_TRUE(second.has_ended());
}

TEST(condition_variable, a_predicate_that_holds_beats_the_deadline) {
  mutex m;
  condition_variable c;
  std::unique_lock lock{m};
  EXPECT_TRUE(c.wait_until(lock, [] { return true; }, deadline::after(-1s)));
  EXPECT_FALSE(c.wait_until(lock, [] { return false; }, deadline::after(-1s)));
  bool asked_before = false;
  EXPECT_TRUE(c.wait_until(
      lock, [&] { return std::exchange(asked_before, true); }, deadline::after(1ms)))
      << "it became true while nobody notified";
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(c.wait_until(lock, [] { return false; }, deadline::never(), stop.get_token()));
  EXPECT_TRUE(m.held_by_me());
}

TEST(condition_variable, may_be_destroyed_after_notify_all) {
  constexpr unsigned char rubble = 0xee;
  mutex m;
  loop_thread loop;
  for (int round = 0; round < 50; ++round) {
    const auto memory = std::make_unique<unsigned char[]>(sizeof(condition_variable));
    auto* c = new (memory.get()) condition_variable;
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        std::unique_lock lock{m};
        c->wait(lock);
      });
    }
    started task{loop.where(), wait_once(*c, m)};
    ASSERT_TRUE(waited_for(*c, 3));
    std::unique_lock mine{m};
    c->notify_all();
    c->~condition_variable();
    std::memset(memory.get(), rubble, sizeof(condition_variable));
    mine.unlock();
    threads.clear();
    ASSERT_TRUE(task.ends());
    for (std::size_t byte = 0; byte < sizeof(condition_variable); ++byte) ASSERT_EQ(memory[byte], rubble);
  }
}

TEST(condition_variable, timeouts_that_race_with_notifications_lose_nothing) {
  constexpr int tokens = 1'500;
  mutex m;
  condition_variable c;
  int left = 0;
  bool finished = false;
  loop_thread loop;
  const auto collect = [](mutex& lock_of, condition_variable& changed, int& there, const bool& end) -> task<int> {
    int got = 0;
    for (int i = 0;; ++i) {
      std::unique_lock lock = co_await lock_of.async_lock();
      while (there == 0 && !end) {
        (void)co_await changed.async_wait(lock, deadline::after(std::chrono::microseconds(50 + i % 80)));
      }
      if (there == 0) co_return got;
      --there;
      ++got;
    }
  };
  started task{loop.where(), collect(m, c, left, finished)};
  std::atomic<int> by_threads{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, impatient = t == 0] {
        for (int i = 0;; ++i) {
          std::unique_lock lock{m};
          while (left == 0 && !finished) {
            const deadline until =
                impatient ? deadline::after(std::chrono::microseconds(50 + i % 80)) : deadline::never();
            (void)c.wait_until(lock, until);
          }
          if (left == 0) return;
          --left;
          ++by_threads;
        }
      });
    }
    for (int i = 0; i < tokens; ++i) {
      const std::lock_guard held{m};
      ++left;
      c.notify_one();
    }
    const std::lock_guard held{m};
    finished = true;
    c.notify_all();
  }
  ASSERT_TRUE(task.ends());
  EXPECT_EQ(by_threads + task.value(), tokens);
}

TEST(condition_variable, a_wait_shows_in_the_snapshot) {
  mutex m;
  condition_variable c{"work has come"};
  std::stop_source stop;
  std::jthread waiter{[&] {
    std::unique_lock lock{m};
    (void)c.wait_until(lock, deadline::never(), stop.get_token());
  }};
  ASSERT_TRUE(waited_for(c));
  const park::wait_info wait = test::waits_for(&c).front();
  EXPECT_EQ(wait.waits_for, resource_kind::condition);
  EXPECT_EQ(wait.resource_name, "work has come");
  EXPECT_EQ(wait.holder, 0U);
  EXPECT_EQ(m.holder(), 0U);
  stop.request_stop();
}

TEST(condition_variable, a_time_is_not_begun_anew_by_notifications) {
  mutex m;
  condition_variable c;
  std::atomic<bool> over{false};
  std::jthread notifier{[&] {
    while (!over) c.notify_all();
  }};
  std::unique_lock lock{m};
  EXPECT_FALSE(c.wait_for(lock, [] { return false; }, 10ms));
  EXPECT_TRUE(m.held_by_me());
  over = true;
  notifier.join();
  EXPECT_EQ(c.wait_for(lock, 1ms).error(), wait_error::timeout);
}

}  // namespace
}  // namespace heddle
