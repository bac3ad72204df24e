#include <heddle/sync/semaphore.hpp>

#include <gtest/gtest.h>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <new>
#include <optional>
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

/// Counts who is inside, and remembers the most there were.
class crowd {
 public:
  void enter(int count = 1) {
    const int now = inside_.fetch_add(count) + count;
    int seen = most_;
    while (seen < now && !most_.compare_exchange_weak(seen, now)) {
    }
  }
  void leave(int count = 1) { inside_ -= count; }
  [[nodiscard]] int most() const { return most_; }

 private:
  std::atomic<int> inside_{0};
  std::atomic<int> most_{0};
};

task<void> visit(semaphore& places, crowd& seen, int rounds, std::uint32_t count) {
  for (int i = 0; i < rounds; ++i) {
    const semaphore_permit permit = co_await places.async_acquire(count);
    seen.enter(static_cast<int>(count));
    co_await this_task::yield();
    seen.leave(static_cast<int>(count));
  }
}

task<semaphore_permit> acquire(semaphore& places, std::uint32_t count = 1) {
  co_return co_await places.async_acquire(count);
}

task<std::expected<std::uint32_t, wait_error>> acquire_until(semaphore& places, deadline until,
                                                             std::stop_token stop = {}, std::uint32_t count = 1) {
  const auto permit = co_await places.async_acquire_until(until, std::move(stop), count);
  if (!permit) co_return std::unexpected{permit.error()};
  co_return permit->count();
}

TEST(semaphore, admits_no_more_than_there_are_permits) {
  constexpr int rounds = 2'000;
  semaphore places{3};
  crowd inside;
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t t = 0; t < 6; ++t) {
      threads.emplace_back([&, count = t % 3 + 1] {
        for (int i = 0; i < rounds; ++i) {
          const semaphore_permit permit = places.acquire(count);
          inside.enter(static_cast<int>(count));
          inside.leave(static_cast<int>(count));
        }
      });
    }
  }
  EXPECT_LE(inside.most(), 3);
  EXPECT_EQ(places.available(), 3U);
}

// [example]
TEST(semaphore, threads_and_tasks_share_the_permits) {
  constexpr int rounds = 500;
  semaphore places{2};
  crowd inside;
  {
    loop_thread one;
    loop_thread other;
    std::vector<started<void>> tasks;
    for (int i = 0; i < 4; ++i) tasks.emplace_back(one.where(), visit(places, inside, rounds, 1));
    for (int i = 0; i < 2; ++i) tasks.emplace_back(other.where(), visit(places, inside, rounds, 2));
    for (int i = 0; i < rounds; ++i) {
      const semaphore_permit permit = places.acquire();
      inside.enter();
      inside.leave();
    }
    for (const auto& each : tasks) EXPECT_TRUE(each.ends());
  }
  EXPECT_LE(inside.most(), 2);
  EXPECT_EQ(places.available(), 2U);
}
// [/example]

TEST(semaphore, publishes_what_was_done_before) {
  semaphore one{1};
  int plain = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 3'000; ++i) {
          const semaphore_permit permit = one.acquire();
          ++plain;
        }
      });
    }
  }
  EXPECT_EQ(plain, 9'000);
}

// Nobody waits, and the flag orders nothing: only the semaphore does.
TEST(semaphore, publishes_without_a_waiter) {
  (void)current_agent().id();
  semaphore one{1};
  alignas(64) int plain = 0;
  std::atomic<bool> done{false};
  const std::jthread before{[&] {
    {
      const semaphore_permit permit = one.acquire();
      plain = 1;
    }
    done.store(true, std::memory_order_relaxed);
  }};
  ASSERT_TRUE(eventually([&] { return done.load(std::memory_order_relaxed); }));
  const semaphore_permit permit = one.acquire();
  EXPECT_EQ(plain, 1);
}

TEST(semaphore, a_permit_gives_back_what_it_holds) {
  semaphore places{5};
  {
    semaphore_permit first = places.acquire(2);
    EXPECT_EQ(first.count(), 2U);
    EXPECT_TRUE(first);
    EXPECT_EQ(places.available(), 3U);
    semaphore_permit second = std::move(first);
    EXPECT_EQ(second.count(), 2U);
    EXPECT_EQ(places.available(), 3U);
    second = places.acquire(1);  // what it held before goes back
    EXPECT_EQ(places.available(), 4U);
    second.give_back();
    second.give_back();
    EXPECT_FALSE(second);
    EXPECT_EQ(places.available(), 5U);
  }
  EXPECT_EQ(places.available(), 5U);
  std::optional<semaphore_permit> carried = places.acquire();
  std::jthread{[moved = std::move(*carried)]() mutable { moved.give_back(); }}.join();
  EXPECT_EQ(places.available(), 5U) << "whoever has it may give it back";
}

TEST(semaphore, a_permit_that_was_used_up_is_not_given_back) {
  semaphore events{0};
  events.release(2);
  {
    semaphore_permit seen = events.acquire();
    seen.use_up();
    EXPECT_FALSE(seen);
    EXPECT_EQ(seen.count(), 0U);
  }
  EXPECT_EQ(events.available(), 1U);
}

TEST(semaphore, anybody_may_release) {
  semaphore signals{0};
  std::atomic<bool> woken{false};
  std::jthread waiter{[&] {
    const semaphore_permit permit = signals.acquire(3);
    woken = true;
  }};
  ASSERT_TRUE(waited_for(signals));
  signals.release();
  signals.release();
  EXPECT_EQ(test::waits_for(&signals).size(), 1U);
  EXPECT_FALSE(woken);
  signals.release();
  EXPECT_TRUE(eventually([&] { return woken.load(); }));
  waiter.join();
  EXPECT_EQ(signals.available(), 3U);
}

TEST(semaphore, try_acquire_fails_without_waiting) {
  semaphore places{2};
  EXPECT_FALSE(places.try_acquire(3));
  semaphore_permit both = places.try_acquire(2);
  EXPECT_EQ(both.count(), 2U);
  EXPECT_FALSE(places.try_acquire());
  both.give_back();
  EXPECT_TRUE(places.try_acquire());
}

TEST(semaphore, what_is_there_is_given_even_late) {
  semaphore places{1};
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(places.acquire_until(deadline::after(-1s)));
  EXPECT_TRUE(places.acquire_until(deadline::never(), stop.get_token()));
  EXPECT_TRUE(sync_wait(acquire_until(places, deadline::after(-1s), stop.get_token())));
  const semaphore_permit taken = places.acquire();
  EXPECT_EQ(places.acquire_until(deadline::after(-1s)).error(), wait_error::timeout);
  EXPECT_EQ(places.acquire_until(deadline::never(), stop.get_token()).error(), wait_error::stopped);
}

TEST(semaphore, a_timeout_lets_the_next_one_go) {
  semaphore places{1};
  std::atomic<bool> served{false};
  std::atomic<bool> gave_up{false};
  std::jthread large{[&] {
    EXPECT_EQ(places.acquire_until(deadline::after(500ms), {}, 2).error(), wait_error::timeout);
    gave_up = true;
  }};
  ASSERT_TRUE(eventually([&] { return gave_up || test::waits_for(&places).size() == 1; }));
  const semaphore_permit mine = places.try_acquire();
  std::jthread small{[&] {
    const semaphore_permit permit = places.acquire();
    served = true;
  }};
  ASSERT_TRUE(eventually([&] { return served || gave_up || test::waits_for(&places).size() == 2; }));
  places.release();  // a second permit, too few for the first waiter while `mine` is out
  EXPECT_TRUE(eventually([&] { return served.load(); }));
  large.join();
}

TEST(semaphore, a_task_times_out) {
  semaphore places{1};
  const deadline until = deadline::after(5ms);
  EXPECT_EQ(sync_wait(acquire_until(places, until, {}, 2)), std::unexpected{wait_error::timeout});
  EXPECT_TRUE(until.has_passed());
  EXPECT_EQ(places.available(), 1U);
  EXPECT_TRUE(test::waits_for(&places).empty());
}

TEST(semaphore, a_stopped_waiter_takes_nothing) {
  semaphore places{1};
  std::stop_source stop;
  std::jthread thread{
      [&] { EXPECT_EQ(places.acquire_until(deadline::never(), stop.get_token(), 2).error(), wait_error::stopped); }};
  manual_executor ready;
  ASSERT_TRUE(waited_for(places, 1));
  started task{ready, acquire(places, 2)};
  started behind{ready, acquire(places, 1)};
  ready.run_all();
  if (!behind.has_ended()) ASSERT_TRUE(waited_for(places, 3));
  stop.request_stop();
  task.stop();
  thread.join();
  ready.run_all();
  EXPECT_TRUE(task.was_stopped());
  EXPECT_TRUE(behind.has_ended()) << "the one behind was let go";
  EXPECT_EQ(places.available(), 0U);
  behind.value().give_back();
  EXPECT_EQ(places.available(), 1U);
}

TEST(semaphore, one_that_is_stopped_lets_the_next_one_go) {
  semaphore places{0};
  manual_executor ready;
  started large{ready, acquire(places, 2)};
  started small{ready, acquire(places, 1)};
  ready.run_all();
  ASSERT_TRUE(waited_for(places, 2));
  places.release();
  ready.run_all();
  EXPECT_FALSE(small.has_ended());
  large.stop();
  ready.run_all();
  EXPECT_TRUE(large.was_stopped());
  EXPECT_TRUE(small.has_ended());
}

TEST(semaphore, a_large_request_is_not_starved_by_small_ones) {
  semaphore places{2};
  semaphore_permit first = places.acquire();
  semaphore_permit second = places.acquire();
  manual_executor ready;
  started large{ready, acquire(places, 2)};
  ready.run_all();
  ASSERT_TRUE(waited_for(places));
  ASSERT_TRUE(test::passed(deadline::after(2ms)));
  first.give_back();
  EXPECT_EQ(places.available(), 1U);
  EXPECT_FALSE(places.try_acquire()) << "a small request went past the large one";
  started small{ready, acquire(places, 1)};
  ready.run_all();
  EXPECT_FALSE(small.has_ended()) << "a small request went past the large one";
  second.give_back();
  ready.run_all();
  ASSERT_TRUE(large.has_ended());
  EXPECT_FALSE(small.has_ended());
  large.value().give_back();
  ready.run_all();
  EXPECT_TRUE(small.has_ended());
}

TEST(semaphore, a_small_request_waits_behind_a_large_one) {
  semaphore places{0};
  manual_executor ready;
  started large{ready, acquire(places, 2)};
  started small{ready, acquire(places, 1)};
  ready.run_all();
  ASSERT_TRUE(waited_for(places, 2));
  places.release();
  ready.run_all();
  EXPECT_FALSE(small.has_ended());
  EXPECT_EQ(places.available(), 1U);
  places.release();
  ready.run_all();
  EXPECT_TRUE(large.has_ended());
  EXPECT_FALSE(small.has_ended());
  places.release();
  ready.run_all();
  EXPECT_TRUE(small.has_ended());
}

TEST(semaphore, one_release_of_several_wakes_several) {
  semaphore places{0};
  manual_executor ready;
  std::vector<started<semaphore_permit>> tasks;
  for (int i = 0; i < 4; ++i) tasks.emplace_back(ready, acquire(places));
  ready.run_all();
  ASSERT_TRUE(waited_for(places, 4));
  places.release(3);
  ready.run_all();
  int served = 0;
  for (const auto& each : tasks) served += each.has_ended() ? 1 : 0;
  EXPECT_EQ(served, 3);
  EXPECT_EQ(places.available(), 0U);
  places.release();
  ready.run_all();
  EXPECT_TRUE(tasks.back().has_ended());
}

// Each of two releases alone is too little for the waiter; together they are enough, whichever comes second.
TEST(semaphore, releases_at_the_same_time_add_up) {
  constexpr std::size_t rounds = 1'000;
  std::deque<semaphore> places;
  for (std::size_t i = 0; i < rounds; ++i) places.emplace_back(0U);
  std::atomic<std::size_t> begun{0};
  const auto give = [&] {
    for (std::size_t i = 0; i < rounds; ++i) {
      while (begun <= i) std::this_thread::yield();
      places[i].release();
    }
  };
  const std::jthread one{give};
  const std::jthread other{give};
  std::atomic<std::size_t> lost{0};
  const std::jthread waiter{[&] {
    for (semaphore& each : places) {
      if (!each.acquire_until(deadline::after(test::patience), {}, 2)) ++lost;
    }
  }};
  for (std::size_t i = 0; i < rounds; ++i) {
    EXPECT_TRUE(waited_for(places[i]));
    begun = i + 1;
  }
  EXPECT_EQ(lost, 0U);
}

TEST(semaphore, a_busy_executor_does_not_keep_others_out) {
  semaphore places{1};
  semaphore_permit mine = places.acquire();
  manual_executor busy;
  std::vector<started<semaphore_permit>> tasks;
  for (int i = 0; i < 3; ++i) tasks.emplace_back(busy, acquire(places));
  busy.run_all();
  ASSERT_TRUE(waited_for(places, 3));
  std::jthread behind{[&] { const semaphore_permit permit = places.acquire(); }};
  ASSERT_TRUE(waited_for(places, 4));
  mine.give_back();
  behind.join();
  std::jthread{[&] { const semaphore_permit permit = places.acquire(); }}.join();
  for (auto& each : tasks) {
    EXPECT_FALSE(each.has_ended());
  }
  busy.run_all();
  for (auto& each : tasks) {
    ASSERT_TRUE(each.has_ended());
    each.value().give_back();
    busy.run_all();
  }
  EXPECT_EQ(places.available(), 1U);
}

// All are woken, since those before the thread do not run; then only one of them finds the permit.
TEST(semaphore, woken_waiters_that_find_nothing_keep_their_order) {
  semaphore places{1};
  semaphore_permit mine = places.acquire();
  manual_executor busy;
  std::vector<started<semaphore_permit>> tasks;
  for (int i = 0; i < 4; ++i) tasks.emplace_back(busy, acquire(places));
  busy.run_all();
  ASSERT_TRUE(waited_for(places, 4));
  std::jthread behind{[&] { const semaphore_permit permit = places.acquire(); }};
  ASSERT_TRUE(waited_for(places, 5));
  mine.give_back();
  behind.join();
  EXPECT_EQ(busy.pending(), 4U);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    busy.run_all();
    ASSERT_TRUE(tasks[i].has_ended());
    for (std::size_t later = i + 1; later < tasks.size(); ++later) EXPECT_FALSE(tasks[later].has_ended());
    tasks[i].value().give_back();
  }
}

TEST(semaphore, one_that_was_woken_in_vain_keeps_its_place) {
  const auto woken_in_vain = [] {
    semaphore places{0};
    manual_executor ready;
    started first{ready, acquire(places)};
    started second{ready, acquire(places)};
    ready.run_all();
    places.release();
    semaphore_permit mine = places.try_acquire();  // refused when the first one has waited for 1 ms already
    const bool in_vain = mine.count() == 1;
    ready.run_all();
    EXPECT_EQ(first.has_ended(), !in_vain);
    mine.give_back();
    ready.run_all();
    EXPECT_TRUE(first.has_ended());
    EXPECT_FALSE(second.has_ended());
    places.release();
    ready.run_all();
    EXPECT_TRUE(second.has_ended());
    return in_vain;
  };
  EXPECT_TRUE(eventually(woken_in_vain));
}

TEST(semaphore, may_be_destroyed_right_after_the_last_release) {
  constexpr unsigned char rubble = 0xee;
  loop_thread loop;
  struct shared_object {
    semaphore s{2};
    std::atomic<int> users{4};
  };
  // The permit goes back before the count: the last one finds that all releases have let the next one in.
  const auto destroy = [](shared_object& object) {
    object.~shared_object();
    std::memset(static_cast<void*>(&object), rubble, sizeof object);
  };
  for (int i = 0; i < 1'000; ++i) {
    const auto memory = std::make_unique<unsigned char[]>(sizeof(shared_object));
    auto* object = new (memory.get()) shared_object;
    const auto use = [&] {
      semaphore_permit both = object->s.acquire(2);
      const bool last = --object->users == 0;
      both.give_back();
      if (last) destroy(*object);
    };
    const auto use_as_task = [](shared_object& shared, auto end) -> task<void> {
      semaphore_permit both = co_await shared.s.async_acquire(2);
      const bool last = --shared.users == 0;
      both.give_back();
      if (last) end(shared);
    };
    started<void> task{loop.where(), use_as_task(*object, destroy)};
    {
      const std::jthread one{use};
      const std::jthread other{use};
      use();
    }
    ASSERT_TRUE(task.ends());
    for (std::size_t byte = 0; byte < sizeof(shared_object); ++byte) ASSERT_EQ(memory[byte], rubble);
  }
}

TEST(semaphore, a_wait_shows_in_the_snapshot_without_a_holder) {
  semaphore places{0, "connections"};
  std::stop_source stop;
  std::jthread waiter{[&] { (void)places.acquire_until(deadline::never(), stop.get_token()); }};
  ASSERT_TRUE(waited_for(places));
  const park::wait_info wait = test::waits_for(&places).front();
  EXPECT_EQ(wait.waits_for, resource_kind::semaphore);
  EXPECT_EQ(wait.resource_name, "connections");
  EXPECT_EQ(wait.holder, 0U);
  stop.request_stop();
}

TEST(semaphore, timeouts_that_race_with_releases_strand_nobody) {
  constexpr int rounds = 1'000;
  semaphore places{2};
  loop_thread loop;
  const auto impatient = [](semaphore& s) -> task<void> {
    for (int i = 0; i < rounds; ++i) {
      (void)co_await s.async_acquire_until(deadline::after(std::chrono::microseconds(i % 50)), {}, 2);
    }
  };
  started task{loop.where(), impatient(places)};
  {
    std::vector<std::jthread> threads;
    threads.emplace_back([&] {
      for (int i = 0; i < rounds; ++i) {
        (void)places.acquire_until(deadline::after(std::chrono::microseconds(i % 50)), {}, 2);
      }
    });
    for (std::uint32_t t = 1; t <= 2; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < rounds; ++i) const semaphore_permit permit = places.acquire(t);
      });
    }
  }
  EXPECT_TRUE(task.ends());
  EXPECT_EQ(places.available(), 2U);
}

// --- misuse ---

using semaphore_misuse = test::misuse;

TEST_F(semaphore_misuse, too_many_permits_are_fatal) {
  EXPECT_DEATH(
      {
        semaphore places{semaphore::max_permits};
        places.release();
      },
      "a semaphore holds at most 134217727 permits");
  EXPECT_DEATH(
      {
        semaphore places{1};
        places.release(semaphore::max_permits);
      },
      "a semaphore holds at most 134217727 permits");
  EXPECT_DEATH({ semaphore places(semaphore::max_permits + 1); }, "a semaphore holds at most 134217727 permits");
  EXPECT_DEATH(
      {
        semaphore places{1};
        (void)places.try_acquire(semaphore::max_permits + 1);
      },
      "a semaphore holds at most 134217727 permits");
}

void destroy_while_a_thread_waits() {
  auto* places = new semaphore{0};
  std::thread waiter{[=] { const semaphore_permit permit = places->acquire(); }};
  (void)waited_for(*places);
  delete places;
  waiter.join();
}

TEST_F(semaphore_misuse, destroying_what_is_waited_for_is_fatal) {
  EXPECT_DEATH(destroy_while_a_thread_waits(), "a semaphore was destroyed while it is waited for");
}

TEST(semaphore_fork, what_was_out_stays_out_in_the_child) {
  semaphore permits{3, "three"};
  const semaphore_permit held = permits.acquire(2);
  EXPECT_EXIT(std::_Exit(permits.available() == 1 && !permits.try_acquire(2) ? 0 : 1), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace heddle
