// What is built on queue_wait under pressure: threads and tasks of several executors at something that only so many may
// have, with deadlines, stops and executors that block. Nothing may be lost and nothing doubled. HEDDLE_STRESS_MS sets how
// long each test runs.

#include <heddle/sync/event.hpp>
#include <heddle/sync/wait_queue.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;

std::chrono::milliseconds stress_time() {
  const char* set = std::getenv("HEDDLE_STRESS_MS");
  return std::chrono::milliseconds{set != nullptr ? std::atoi(set) : 500};
}

class dice {
 public:
  explicit dice(unsigned seed) : engine_{seed} {}
  unsigned below(unsigned n) { return static_cast<unsigned>(engine_() % n); }
  deadline soon() { return deadline::after(std::chrono::microseconds{below(400)}); }

 private:
  std::minstd_rand engine_;
};

/// Two permits; given back by a wake, or handed over.
template <bool hands_over>
class permits {
 public:
  static constexpr int most = 2;

  auto wait_until(deadline until, const std::stop_token& stop) {
    return queue_.wait_until([this] { return take(); }, until, stop);
  }
  auto async_wait() {
    return queue_.async_wait([this] { return take(); });
  }
  auto async_wait_until(deadline until) {
    return queue_.async_wait_until([this] { return take(); }, until);
  }
  void give_back() {
    if constexpr (hands_over) {
      queue_.hand_over(1, [this](std::size_t n) { left_ += n == 0 ? 1 : 0; });
    } else {
      queue_.wake_one([this] { ++left_; });
    }
  }
  bool all_are_back() {
    return queue_.try_wait([this] { return left_ == most; }) && !queue_.has_waiters();
  }

 private:
  bool take() {
    if (left_ == 0) return false;
    --left_;
    return true;
  }

  int left_ = most;  // under queue_'s lock
  wait_queue queue_{"stress"};
};

/// An automatic event that is passed on.
class baton {
 public:
  static constexpr int most = 1;

  baton() { event_.set(); }
  auto wait_until(deadline until, const std::stop_token& stop) { return event_.wait_until(until, stop); }
  auto async_wait() { return event_.async_wait(); }
  auto async_wait_until(deadline until) { return event_.async_wait_until(until); }
  void give_back() { event_.set(); }
  bool all_are_back() { return event_.is_set() && test::waits_named("stress").empty(); }

 private:
  event event_{"stress", event_reset::automatic};
};

/// Counts who has it.
template <class Thing>
struct watched_thing {
  Thing thing;
  std::atomic<int> out{0};
  std::atomic<std::uint64_t> had{0};

  void use() {
    EXPECT_LE(out.fetch_add(1) + 1, Thing::most);
    had.fetch_add(1, std::memory_order_relaxed);
    out.fetch_sub(1);
    thing.give_back();
  }
};

template <class Thing>
task<void> use_often(watched_thing<Thing>& what, dice random) {
  for (;;) {
    switch (random.below(4)) {
      case 0:
        if (co_await what.thing.async_wait_until(random.soon())) what.use();
        break;
      case 1:  // blocks its executor, as a task should not
        if (what.thing.wait_until(random.soon(), {})) what.use();
        break;
      case 2: co_await this_task::yield(); [[fallthrough]];
      default: co_await what.thing.async_wait(); what.use();
    }
    co_await this_task::check_stop();
  }
}

template <class Thing>
void nothing_is_lost_whoever_gives_up() {
  const deadline end = deadline::after(stress_time());
  watched_thing<Thing> what;
  unsigned round = 0;
  while (!end.has_passed()) {
    ++round;
    test::loop_thread one{"one"};
    test::loop_thread two{"two"};
    std::vector<test::started<void>> tasks;
    for (unsigned i = 0; i < 6; ++i) {
      tasks.emplace_back((i % 2 == 0 ? one : two).where(), use_often(what, dice{round * 16 + i}));
    }
    {
      std::vector<std::jthread> threads;
      for (unsigned i = 0; i < 2; ++i) {
        threads.emplace_back([&, random = dice{round * 16 + 8 + i}](const std::stop_token& stop) mutable {
          while (!stop.stop_requested()) {
            if (what.thing.wait_until(random.soon(), stop)) what.use();
          }
        });
      }
      dice random{round};
      for (auto& each : tasks) {  // stopped in the middle of it
        const deadline then = random.soon();
        ASSERT_TRUE(test::passed(then));
        each.stop();
      }
      for (const auto& each : tasks) ASSERT_TRUE(each.ends());
    }
    ASSERT_TRUE(what.thing.all_are_back());
  }
  EXPECT_GT(what.had, 0U);
}

TEST(wait_queue_stress, a_wake_is_not_lost_whoever_gives_up) { nothing_is_lost_whoever_gives_up<permits<false>>(); }

TEST(wait_queue_stress, a_hand_over_is_not_lost_whoever_gives_up) { nothing_is_lost_whoever_gives_up<permits<true>>(); }

TEST(wait_queue_stress, an_automatic_event_is_not_lost_whoever_gives_up) { nothing_is_lost_whoever_gives_up<baton>(); }

}  // namespace
}  // namespace heddle
