#include <heddle/sync/lock_all.hpp>

#include <gtest/gtest.h>
#include <heddle/park/agent.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/pi_mutex.hpp>
#include <heddle/sync/recursive_mutex.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <source_location>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::waited_for;

static_assert(std::is_nothrow_move_constructible_v<lock_all<mutex, std::mutex>>);
static_assert(!std::is_copy_constructible_v<lock_all<mutex>>);

bool another_thread_gets(auto& lock) {
  bool got = false;
  std::thread{[&] { got = std::unique_lock(lock, std::try_to_lock).owns_lock(); }}.join();
  return got;
}

// Refuses try_lock() so often.
class refusing {
 public:
  explicit refusing(int refusals) noexcept : refusals_{refusals} {}
  void lock() { inner_.lock(); }
  bool try_lock() { return refusals_-- <= 0 && inner_.try_lock(); }
  void unlock() { inner_.unlock(); }

 private:
  std::mutex inner_;
  std::atomic<int> refusals_;
};

class throwing {
 public:
  void lock() { throw std::runtime_error{"lock"}; }
  bool try_lock() { throw std::runtime_error{"try_lock"}; }
  void unlock() {}
};

TEST(lock_all, holds_all_until_it_is_destroyed) {
  mutex a;
  recursive_mutex b;
  pi_mutex c;
  std::mutex d;
  {
    const lock_all held{d, c, b, a};
    EXPECT_TRUE(held.owns_locks());
    EXPECT_TRUE(a.held_by_me() && b.held_by_me() && c.held_by_me());
    EXPECT_FALSE(another_thread_gets(a) || another_thread_gets(b) || another_thread_gets(c) || another_thread_gets(d));
  }
  EXPECT_TRUE(another_thread_gets(a) && another_thread_gets(b) && another_thread_gets(c) && another_thread_gets(d));
}

TEST(lock_all, any_order_and_any_mix_never_deadlocks) {
  constexpr int rounds = 1'000;
  mutex a;
  recursive_mutex b;
  pi_mutex c;
  std::mutex d;
  int count = 0;
  {
    std::vector<std::jthread> running;
    const auto start = [&](auto step) {
      running.emplace_back([step] {
        for (int i = 0; i < rounds; ++i) step();
      });
    };
    start([&] {
      const lock_all held{a, b, c, d};
      ++count;
    });
    start([&] {
      const lock_all held{d, c, b, a};
      ++count;
    });
    start([&] {
      const auto held = lock_all_until(deadline::after(1h), {}, c, a, b);
      ASSERT_TRUE(held);
      const std::lock_guard innermost{d};
      ++count;
    });
    start([&] {  // one inside the other
      const std::lock_guard one{a};
      const std::lock_guard two{b};
      const std::lock_guard three{c};
      const std::lock_guard four{d};
      ++count;
    });
  }
  EXPECT_EQ(count, 4 * rounds);
}

// Five at a table, each between two forks, and one who takes them all.
TEST(lock_all, philosophers_all_eat) {
  constexpr int seats = 5;
  constexpr int meals = 400;
  mutex forks[seats];
  std::vector<int> eaten(seats + 1);
  {
    std::vector<std::jthread> guests;
    for (std::size_t seat = 0; seat < seats; ++seat) {
      guests.emplace_back([&, seat] {
        for (int i = 0; i < meals; ++i) {
          const lock_all held{forks[seat], forks[(seat + 1) % seats]};
          ++eaten[seat];
        }
      });
    }
    guests.emplace_back([&] {
      for (int i = 0; i < meals; ++i) {
        const lock_all held{forks[4], forks[1], forks[3], forks[0], forks[2]};
        ++eaten[seats];
      }
    });
  }
  for (const int each : eaten) EXPECT_EQ(each, meals);
}

TEST(lock_all, holds_none_of_the_others_while_it_waits) {
  mutex pair[2];
  for (mutex& taken : pair) {
    mutex& other = &taken == &pair[0] ? pair[1] : pair[0];
    std::unique_lock mine{taken};
    std::jthread waiter{[&] { const lock_all held{other, taken}; }};
    ASSERT_TRUE(waited_for(taken));
    EXPECT_TRUE(std::unique_lock(other, std::try_to_lock).owns_lock());
    mine.unlock();
  }
}

TEST(lock_all, gets_there_however_often_it_is_refused) {
  refusing a{300};
  refusing b{300};
  mutex c;
  const lock_all held{a, b, c};
  EXPECT_TRUE(c.held_by_me());
}

TEST(lock_all, many_refusals_are_reported_with_the_place) {
  watch::settings wanted;
  wanted.log = false;
  watch::configure(wanted);
  std::vector<std::string> told;
  const auto line = std::source_location::current().line() + 7;
  {
    const watch::subscription listening = watch::on_report([&](const watch::report& r) {
      if (r.what == watch::problem::livelock) told.push_back(r.sentence);
    });
    refusing a{200};
    refusing b{200};
    const lock_all held{a, b};
  }
  watch::configure(watch::settings::from_environment());
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("lock_all.test.cpp:" + std::to_string(line)), std::string::npos) << told[0] << " not " << line;
}

TEST(lock_all, makes_no_lock_order) {
  std::vector<std::string> told;
  const watch::subscription listening = watch::on_report([&](const watch::report& r) { told.push_back(r.text()); });
  mutex a{"lock_all a"};
  mutex b{"lock_all b"};
  for (int i = 0; i < 2; ++i) {
    std::thread{[&] {
      const std::lock_guard outer{a};
      const std::lock_guard inner{b};
    }}.join();
    std::thread{[&] { const lock_all held{b, a}; }}.join();
    std::thread{[&] { const lock_all held{a, b}; }}.join();
  }
  EXPECT_EQ(told, std::vector<std::string>{});
}

TEST(lock_all, the_held_list_names_the_call) {
  mutex a;
  mutex b;
  ASSERT_EQ(current_agent().held(), 0U);
  const void* taken_at = nullptr;
  {
    const lock_all held{a, b};
    const park::hold_list& holds = current_agent().holds();
    ASSERT_EQ(holds.listed(), 2U);
    taken_at = holds.at(0).taken_at;
    EXPECT_EQ(holds.at(1).taken_at, taken_at);
  }
  const auto held = try_lock_all(a, b);
  ASSERT_TRUE(held);
  EXPECT_NE(current_agent().holds().at(0).taken_at, taken_at);
}

TEST(lock_all, a_share_is_shared) {
  std::shared_mutex rates;
  mutex account;
  {
    const lock_all held{account, shared(rates)};
    bool others_read = false;
    bool others_write = true;
    std::thread{[&] {
      others_read = std::shared_lock(rates, std::try_to_lock).owns_lock();
      others_write = std::unique_lock(rates, std::try_to_lock).owns_lock();
    }}.join();
    EXPECT_TRUE(others_read);
    EXPECT_FALSE(others_write);
  }
  EXPECT_TRUE(another_thread_gets(rates));
}

TEST(lock_all, try_takes_all_or_none_without_waiting) {
  mutex a;
  mutex b;
  {
    const std::lock_guard mine{a};
    std::thread{[&] {
      EXPECT_FALSE(try_lock_all(b, a));
      EXPECT_FALSE(try_lock_all(a, b));
    }}.join();
    EXPECT_TRUE(another_thread_gets(b));
  }
  const auto held = try_lock_all(a, b);
  EXPECT_TRUE(held && held->owns_locks() && a.held_by_me() && b.held_by_me());
}

TEST(lock_all, takes_what_is_free_even_late) {
  mutex a;
  pi_mutex b;
  std::timed_mutex c;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(lock_all_until(deadline::after(-1s), stop.get_token(), a, b, c));
}

TEST(lock_all, one_that_gives_up_holds_none) {
  mutex a;
  pi_mutex b;
  std::timed_mutex c;
  std::shared_timed_mutex d;
  const auto none_held = [&] {
    return another_thread_gets(a) && another_thread_gets(b) && another_thread_gets(c) && another_thread_gets(d);
  };
  const auto gives_up = [&](auto& held) {
    std::unique_lock mine{held};
    std::thread{[&] {
      EXPECT_EQ(lock_all_until(deadline::after(2ms), {}, a, b, c, shared(d)).error(), wait_error::timeout);
      std::stop_source stop;
      std::jthread later{[&] {
        EXPECT_TRUE(eventually([&] { return &held != static_cast<void*>(&a) || test::waits_for(&a).size() == 1; }));
        stop.request_stop();
      }};
      EXPECT_EQ(lock_all_until({}, stop.get_token(), a, b, c, shared(d)).error(), wait_error::stopped);
    }}.join();
    mine.unlock();
    EXPECT_TRUE(none_held());
  };
  gives_up(a);
  gives_up(b);
  gives_up(c);
  gives_up(d);
}

TEST(lock_all, a_lock_that_throws_leaves_none_held) {
  mutex a;
  throwing t;
  mutex b;
  EXPECT_THROW(static_cast<void>(lock_all{a, t, b}), std::runtime_error);
  EXPECT_THROW(static_cast<void>(try_lock_all(a, t, b)), std::runtime_error);
  EXPECT_TRUE(another_thread_gets(a) && another_thread_gets(b));
}

TEST(lock_all, can_be_moved_and_unlocked_early) {
  mutex a;
  mutex b;
  lock_all held{a, b};
  lock_all moved{std::move(held)};
  EXPECT_FALSE(held.owns_locks());  // NOLINT(bugprone-use-after-move): that is what is tested
  held.unlock();
  EXPECT_TRUE(a.held_by_me());
  mutex c;
  mutex d;
  moved = lock_all{c, d};
  EXPECT_TRUE(another_thread_gets(a));
  EXPECT_TRUE(c.held_by_me() && d.held_by_me());
  moved.unlock();
  moved.unlock();
  EXPECT_TRUE(another_thread_gets(c) && another_thread_gets(d));
}

using lock_all_misuse = test::misuse;

TEST_F(lock_all_misuse, the_same_lock_twice_is_fatal) {
  EXPECT_DEATH(
      {
        mutex a;
        mutex b;
        const lock_all held(a, b, a);
      },
      "lock_all was given the same lock twice");
  EXPECT_DEATH(
      {
        std::shared_mutex a;
        const lock_all held(a, shared(a));
      },
      "lock_all was given the same lock twice");
}

TEST_F(lock_all_misuse, one_that_is_held_already_is_fatal) {
  EXPECT_DEATH(
      {
        mutex a;
        mutex b;
        const std::lock_guard mine{b};
        const lock_all held(a, b);
      },
      "locked twice by one agent");
}

TEST_F(lock_all_misuse, destroying_one_of_them_while_it_is_held_is_fatal) {
  EXPECT_DEATH(
      {
        mutex a;
        std::optional<mutex> b;
        b.emplace();
        const lock_all held(a, *b);
        b.reset();
      },
      "destroyed while it is held");
}

}  // namespace
}  // namespace heddle
