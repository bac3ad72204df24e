// What may happen between a giver's look at the queue and the store that gives: a rule of the test's own steps in there.

#include <heddle/sync/internal/turnstile.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <source_location>
#include <stop_token>
#include <thread>
#include <utility>

namespace heddle {
namespace {

using namespace std::chrono_literals;

/// A word and a queue; giving first computes the value for the look, then again for the store.
struct gate {
  std::atomic<std::uint32_t> word{0};
  park::queue queue;
  std::function<void()> before_store;  // called once
  int computed = 0;

  struct rule {
    static constexpr bool shared = true;
    static constexpr bool restartable = false;
    static bool take(std::uint32_t value, std::uint32_t amount, std::uint32_t& after) noexcept {
      after = value - amount;
      return value >= amount;
    }
    static std::uint32_t give(std::uint32_t value, std::uint32_t amount) noexcept {
      if (watched != nullptr && ++watched->computed == 2) std::exchange(watched, nullptr)->before_store();
      return value + amount;
    }
    static sync::turnstile<rule> at(const void* object) noexcept {
      auto& g = *const_cast<gate*>(static_cast<const gate*>(object));
      return {g.word, g.queue};
    }
  };

  [[nodiscard]] park::resource resource() const {
    return park::resource::of(resource_kind::semaphore, this, "gate of the test");
  }

  std::jthread waiter(std::uint32_t amount, std::atomic<bool>& in, const std::stop_token& stop = {}) {
    return std::jthread{[this, amount, stop, &in] {
      in = rule::at(this).take(amount, resource(), {}, stop, std::source_location::current()).has_value();
    }};
  }

  void give_one(std::function<void()> meanwhile) {
    before_store = std::move(meanwhile);
    watched = this;
    rule::at(this).give(1);
  }

  static inline thread_local gate* watched = nullptr;
};

class gate_awaiter final : public sync::turnstile_wait<gate::rule> {
 public:
  explicit gate_awaiter(gate& g, std::stop_token stop = {}) noexcept
      : turnstile_wait{&g, 1, g.resource(), {}, std::move(stop), std::source_location::current()} {}
  void await_resume() const noexcept {}
};

TEST(turnstile, who_waits_behind_one_that_wanted_too_much_and_left_is_not_stranded) {
  gate g;
  std::atomic<bool> large_is_in{false};
  std::atomic<bool> small_is_in{false};
  std::stop_source stop;
  std::jthread large = g.waiter(5, large_is_in, stop.get_token());
  ASSERT_TRUE(test::waited_for(g, 1));
  const std::jthread small = g.waiter(1, small_is_in);
  ASSERT_TRUE(test::waited_for(g, 2));
  g.give_one([&] {
    stop.request_stop();
    large.join();
  });
  EXPECT_TRUE(test::eventually([&] { return small_is_in.load(); }));
  EXPECT_FALSE(large_is_in);
  if (!small_is_in) gate::rule::at(&g).wake_one();
}

TEST(turnstile, a_newcomer_between_look_and_store_is_not_stranded) {
  gate g;
  std::atomic<bool> large_is_in{false};
  std::atomic<bool> small_is_in{false};
  std::stop_source stop;
  std::jthread large = g.waiter(5, large_is_in, stop.get_token());
  std::jthread small;
  ASSERT_TRUE(test::waited_for(g, 1));
  g.give_one([&] {
    stop.request_stop();
    large.join();
    small = g.waiter(1, small_is_in);
    EXPECT_TRUE(test::waited_for(g, 1));
  });
  EXPECT_TRUE(test::eventually([&] { return small_is_in.load(); }));
  if (!small_is_in) gate::rule::at(&g).wake_one();
}

TEST(turnstile, two_givers_at_once_let_in_who_wants_two) {
  gate g;
  std::atomic<bool> is_in{false};
  const std::jthread waiter = g.waiter(2, is_in);
  ASSERT_TRUE(test::waited_for(g, 1));
  g.give_one([&] { gate::rule::at(&g).give(1); });
  EXPECT_TRUE(test::eventually([&] { return is_in.load(); }));
  if (!is_in) gate::rule::at(&g).wake_one();
}

TEST(turnstile, a_giver_that_is_late_does_not_strand_who_waits_behind_a_busy_task) {
  gate g;
  test::manual_executor busy;
  const test::started<void> first{busy, [](gate& where) -> task<void> { co_await gate_awaiter{where}; }(g)};
  busy.run_all();
  ASSERT_TRUE(test::waited_for(g, 1));
  std::atomic<bool> is_in{false};
  const std::jthread behind = g.waiter(1, is_in);
  ASSERT_TRUE(test::waited_for(g, 2));
  g.give_one([] { EXPECT_TRUE(test::passed(deadline::after(20ms))); });  // the task is claimed, its alarm rings
  EXPECT_TRUE(test::eventually([&] { return is_in.load(); }));
  if (!is_in) gate::rule::at(&g).wake_one();
  gate::rule::at(&g).give(1);
  busy.run_all();
  EXPECT_TRUE(first.ends());
}

TEST(turnstile, a_newcomer_behind_a_task_chosen_just_now_is_not_stranded) {
  gate g;
  test::manual_executor busy;
  const test::started<void> first{busy, [](gate& where) -> task<void> { co_await gate_awaiter{where}; }(g)};
  busy.run_all();
  ASSERT_TRUE(test::waited_for(g, 1));
  std::atomic<bool> is_in{false};
  std::jthread behind;
  g.give_one([&] {
    behind = g.waiter(1, is_in);
    EXPECT_TRUE(test::waited_for(g, 1));
  });
  EXPECT_TRUE(test::eventually([&] { return is_in.load(); }));
  if (!is_in) gate::rule::at(&g).wake_one();
  gate::rule::at(&g).give(1);
  busy.run_all();
  EXPECT_TRUE(first.ends());
}

TEST(turnstile, one_that_gives_up_does_not_let_newcomers_pass_one_that_starves_and_has_been_woken) {
  gate g;
  test::manual_executor busy;
  const test::started<void> first{busy, [](gate& where) -> task<void> { co_await gate_awaiter{where}; }(g)};
  busy.run_all();
  std::stop_source stop;
  const test::started<void> second{busy, [](gate& where, std::stop_token until) -> task<void> {
                                     co_await gate_awaiter{where, std::move(until)};
                                   }(g, stop.get_token())};
  busy.run_all();
  ASSERT_TRUE(test::waited_for(g, 2));
  ASSERT_TRUE(test::passed(deadline::after(5ms)));
  stop.request_stop();          // posts the second task
  gate::rule::at(&g).give(1);   // wakes the first, which has starved
  ASSERT_TRUE(busy.run_one());  // the second gives up
  EXPECT_FALSE(gate::rule::at(&g).try_take(1));
  busy.run_all();
  EXPECT_TRUE(first.ends());
  EXPECT_TRUE(second.ends());
  EXPECT_EQ(g.word.load(), 0U);
}

/// As a mutex, but it settles whenever somebody gives.
struct door {
  static constexpr std::uint32_t self = 5;  // whoever takes it
  std::atomic<std::uint32_t> word{0};
  park::queue queue;

  struct rule {
    static constexpr bool shared = false;
    static constexpr bool restartable = true;
    static bool take(std::uint32_t value, std::uint32_t amount, std::uint32_t& after) noexcept {
      after = amount;
      return value == 0;
    }
    static std::uint32_t give(std::uint32_t, std::uint32_t) noexcept { return 0; }
    static sync::turnstile<rule> at(const void* object) noexcept {
      auto& d = *const_cast<door*>(static_cast<const door*>(object));
      return {d.word, d.queue};
    }
  };

  [[nodiscard]] bool careful() const noexcept { return (word.load() & sync::careful_bit) != 0; }

  bool take(deadline until) {
    return rule::at(this)
        .take(self, park::resource::of(resource_kind::semaphore, this, "door of the test"), until, {},
              std::source_location::current())
        .has_value();
  }
  void give() {
    if (sys::clear_if_equal(word, self << sync::value_shift)) return;
    rule::at(this).settle();
    rule::at(this).give(self);
  }
};

TEST(turnstile, a_word_is_careful_from_the_first_that_queues_up_until_nobody_has_for_a_while) {
  door d;
  ASSERT_TRUE(d.take({}));
  EXPECT_FALSE(d.careful());
  std::jthread other{[&] {
    EXPECT_TRUE(d.take({}));
    door::rule::at(&d).give(door::self);
  }};
  ASSERT_TRUE(test::waited_for(d, 1));
  EXPECT_TRUE(d.careful());
  EXPECT_FALSE(sys::clear_if_equal(d.word, door::self << sync::value_shift));
  door::rule::at(&d).settle();
  EXPECT_TRUE(d.careful()) << "somebody waits";
  door::rule::at(&d).give(door::self);
  other.join();
  ASSERT_TRUE(d.take({}));
  door::rule::at(&d).settle();
  EXPECT_TRUE(d.careful()) << "somebody has waited";
  door::rule::at(&d).settle();
  EXPECT_FALSE(d.careful());
  d.give();
  EXPECT_EQ(d.word.load(), 0U);
}

TEST(turnstile, holders_that_give_by_a_plain_store_strand_nobody) {
  door d;
  std::uint64_t inside = 0;
  std::atomic<std::uint64_t> taken{0};
  const auto come_and_go = [&](bool patient) {
    for (int i = 0; i < 3'000; ++i) {
      if (!d.take(patient ? deadline::never() : deadline::after(std::chrono::microseconds{i % 40}))) continue;
      EXPECT_EQ(++inside, 1U);
      if (i % 16 == 0) EXPECT_TRUE(test::passed(deadline::after(10us)));  // longer than anybody spins, now and then
      --inside;
      ++taken;
      d.give();
    }
  };
  {
    const std::jthread a{come_and_go, true};
    const std::jthread b{come_and_go, true};
    const std::jthread c{come_and_go, false};
  }
  EXPECT_GE(taken.load(), 6'000U);
  EXPECT_EQ(d.word.load() & ~sync::careful_bit, 0U);
}

}  // namespace
}  // namespace heddle
