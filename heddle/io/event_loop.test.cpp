#include <heddle/io/event_loop.hpp>
#include <heddle/io/internal/wait_trial.hpp>
#include <heddle/io/tcp_listener.hpp>
#include <heddle/task/run_loop.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/misuse.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

namespace heddle::io {
namespace {

using namespace std::chrono_literals;

using event_loop_misuse = test::misuse;

struct item : work_item {
  explicit item(std::function<void()> what = {}) : body{std::move(what)} {
    run = [](work_item* self) noexcept { static_cast<item*>(self)->body(); };
  }
  std::function<void()> body;
};

// A loop in run() on a thread of its own.
class running_loop {
 public:
  running_loop() : thread_{[this] { loop.run(); }} {}
  ~running_loop() {
    loop.stop();
    thread_.join();
  }
  [[nodiscard]] bool sleeps() {
    return eventually([this] {
      const park::snapshot all = park::snapshot::take();
      return std::ranges::any_of(all.waits, [this](const auto& wait) { return wait.resource == &loop; });
    });
  }

  event_loop loop{"tested"};

 private:
  std::thread thread_;
};

task<int> forty_two(event_loop& loop) {
  co_await loop.sleep_for(1ms);
  co_return 42;
}

TEST(event_loop, runs_a_task_to_its_end) {
  event_loop loop;
  EXPECT_EQ(loop.run(forty_two(loop)), 42);
  EXPECT_EQ(loop.run(forty_two(loop)), 42);
  std::thread::id ran_on;
  loop.run([](std::thread::id& where) -> task<void> {
    where = std::this_thread::get_id();
    co_return;
  }(ran_on));
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST(event_loop, tells_the_outcomes_of_a_task_apart) {
  event_loop loop;
  EXPECT_TRUE(loop.run_outcome(forty_two(loop)).has_value());
  auto throwing = [](event_loop& on) -> task<void> {
    co_await on.sleep_for(1ms);
    throw std::runtime_error{"broken"};
  };
  EXPECT_THROW(loop.run(throwing(loop)), std::runtime_error);
  auto stopped = []() -> task<void> { co_await this_task::end_as_stopped(); };
  EXPECT_TRUE(loop.run_outcome(stopped()).is_stopped());
  EXPECT_THROW(loop.run(stopped()), task_stopped);
}

TEST(event_loop, runs_items_in_order) {
  event_loop loop;
  std::vector<int> order;
  std::vector<item> items;
  items.reserve(1000);
  for (int i = 0; i < 1000; ++i) items.emplace_back([&order, i] { order.push_back(i); });
  for (item& each : items) loop.post(each);
  loop.stop();
  loop.run();
  ASSERT_EQ(order.size(), 1000U);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST(event_loop, drains_what_is_ready_before_it_returns) {
  event_loop loop;
  int ran = 0;
  item last{[&] { ++ran; }};
  item middle{[&] {
    ++ran;
    loop.post(last);
  }};
  item first{[&] {
    ++ran;
    loop.stop();
    loop.post(middle);
  }};
  loop.post(first);
  loop.run();
  EXPECT_EQ(ran, 3);
}

TEST(event_loop, wakes_up_for_posts_of_other_threads) {
  running_loop on;
  for (int round = 0; round < 200; ++round) {
    std::atomic<bool> ran{false};
    item wanted{[&] { ran.store(true); }};
    if (round % 2 == 0) ASSERT_TRUE(on.sleeps());
    on.loop.post(wanted);
    ASSERT_TRUE(eventually([&] { return ran.load(); }));
  }
}

TEST(event_loop, runs_every_item_of_many_posting_threads_once) {
  running_loop on;
  constexpr std::size_t per_thread = 5000;
  std::atomic<std::size_t> ran{0};
  std::vector<std::vector<item>> items(4);
  for (auto& mine : items) {
    mine.reserve(per_thread);
    for (std::size_t i = 0; i < per_thread; ++i) mine.emplace_back([&] { ran.fetch_add(1); });
  }
  std::vector<std::thread> threads;
  for (auto& mine : items) {
    threads.emplace_back([&on, &mine] {
      for (item& each : mine) on.loop.post(each);
    });
  }
  for (std::thread& each : threads) each.join();
  EXPECT_TRUE(eventually([&] { return ran.load() == items.size() * per_thread; }));
}

TEST(event_loop, may_be_destroyed_as_soon_as_a_posted_item_has_ended_its_run) {
  for (int round = 0; round < 500; ++round) {
    auto loop = std::make_unique<event_loop>();
    item last{[&] { loop->stop(); }};
    std::thread poster{[&loop = *loop, &last] { loop.post(last); }};
    loop->run();
    loop.reset();
    poster.join();
  }
}

TEST(event_loop, does_not_wake_up_while_idle) {
  running_loop on;
  ASSERT_TRUE(on.sleeps());
  const std::uint64_t before = on.loop.turns();
  event_loop other;
  other.run([](event_loop& loop) -> task<void> { co_await loop.sleep_for(300ms); }(other));
  EXPECT_EQ(on.loop.turns(), before);
  EXPECT_LE(other.turns(), 16U);  // the sleeper's own loop only sorted its wheel
}

TEST(event_loop, shows_its_sleep_in_the_snapshot) {
  running_loop on;
  ASSERT_TRUE(on.sleeps());
  const park::snapshot all = park::snapshot::take();
  const auto mine = std::ranges::find_if(all.waits, [&](const auto& wait) { return wait.resource == &on.loop; });
  ASSERT_NE(mine, all.waits.end());
  EXPECT_EQ(mine->resource_name, "tested");
  EXPECT_EQ(mine->kind, agent::kind::thread);
}

task<void> sleeps_for(event_loop& loop, std::chrono::microseconds time, std::vector<std::chrono::nanoseconds>& late) {
  const deadline when = deadline::after(time);
  co_await loop.sleep_until(when);
  late.push_back(std::chrono::steady_clock::now() - when.time());
}

TEST(event_loop, a_sleep_never_ends_early) {
  event_loop loop;
  std::vector<std::chrono::nanoseconds> late;
  loop.run(with_scope([&](scope& s) -> task<void> {
    for (int i = 0; i < 300; ++i) s.spawn(sleeps_for(loop, std::chrono::microseconds{i * 317}, late));
    co_return;
  }));
  ASSERT_EQ(late.size(), 300U);
  for (const auto by : late) EXPECT_GE(by.count(), 0);
}

TEST(event_loop, sleeps_end_in_the_order_of_their_deadlines) {
  event_loop loop;
  std::vector<int> order;
  auto sleeper = [](event_loop& on, deadline when, std::vector<int>& out, int number) -> task<void> {
    co_await on.sleep_until(when);
    out.push_back(number);
  };
  const deadline start = deadline::after(5ms);
  loop.run(with_scope([&](scope& s) -> task<void> {
    for (int i = 49; i >= 0; --i) s.spawn(sleeper(loop, start.time() + i * 2ms, order, i));
    co_return;
  }));
  EXPECT_EQ(order.size(), 50U);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST(event_loop, ten_thousand_tasks_sleep_on_one_thread) {
  event_loop loop;
  std::vector<std::chrono::nanoseconds> late;
  std::size_t most = 0;
  loop.run(with_scope([&](scope& s) -> task<void> {
    for (int i = 0; i < 10'000; ++i) s.spawn(sleeps_for(loop, 300ms + std::chrono::microseconds{i * 10}, late));
    while (late.empty()) {
      most = std::max(most, waiting_for(resource_kind::timer));
      co_await loop.sleep_for(20ms);
    }
  }));
  EXPECT_EQ(late.size(), 10'000U);
  EXPECT_GE(most, 10'000U);
  for (const auto by : late) ASSERT_GE(by.count(), 0);
}

TEST(event_loop, a_stopped_sleep_leaves_no_waiter) {
  event_loop loop;
  std::stop_source source;
  auto forever = [](event_loop& on) -> task<void> { co_await on.sleep_until(deadline::never()); };
  auto an_hour = [](event_loop& on) -> task<void> { co_await on.sleep_for(1h); };
  std::thread stopper{[&] {
    EXPECT_TRUE(eventually([] { return waiting_for(resource_kind::timer) == 2; }));
    source.request_stop();
  }};
  const auto result = loop.run_outcome(with_scope([&](scope& s) -> task<void> {
                                         s.spawn(forever(loop));
                                         s.spawn(an_hour(loop));
                                         co_return;
                                       }),
                                       task_context{source.get_token(), {}});
  stopper.join();
  EXPECT_TRUE(result.is_stopped());
  EXPECT_EQ(waiting_for(resource_kind::timer), 0U);
}

TEST(event_loop, a_task_of_another_executor_can_sleep_and_goes_on_there) {
  event_loop loop;
  const auto waited = sync_wait([](event_loop& on) -> task<std::chrono::nanoseconds> {
    const auto start = std::chrono::steady_clock::now();
    co_await on.sleep_for(20ms);
    co_return std::chrono::steady_clock::now() - start;
  }(loop));
  EXPECT_GE(waited, 20ms);
}

TEST(event_loop, busy_items_do_not_starve_timers) {
  event_loop loop;
  bool rang = false;
  auto spinner = [](const bool& until) -> task<void> {
    while (!until) co_await this_task::yield();
  };
  auto timer = [](event_loop& on, bool& ring) -> task<void> {
    co_await on.sleep_for(5ms);
    ring = true;
  };
  loop.run(with_scope([&](scope& s) -> task<void> {
    for (int i = 0; i < 1000; ++i) s.spawn(spinner(rang));
    s.spawn(timer(loop, rang));
    co_return;
  }));
  EXPECT_TRUE(rang);
}

TEST(event_loop, a_stop_from_before_the_run_counts) {
  event_loop loop;
  loop.stop();
  loop.run();  // returns
  EXPECT_LE(loop.turns(), 1U);
}

TEST_F(event_loop_misuse, destroying_it_with_work_in_it_is_fatal) {
  EXPECT_DEATH(
      {
        item never_run{[] {}};
        event_loop loop;
        loop.post(never_run);
      },
      "destroyed with work in it");
}

TEST_F(event_loop_misuse, destroying_it_under_an_open_listener_is_fatal) {
  EXPECT_DEATH(
      {
        auto loop = std::make_unique<event_loop>();
        auto listener = tcp_listener::bind(*loop, "127.0.0.1", 0);
        loop.reset();
      },
      "destroyed while a stream, listener or signal_set of it lives");
}

TEST_F(event_loop_misuse, running_it_twice_is_fatal) {
  EXPECT_DEATH(
      {
        event_loop loop;
        item again{[&] { loop.run(); }};
        loop.post(again);
        loop.run();
      },
      "run twice at the same time");
}

}  // namespace
}  // namespace heddle::io
