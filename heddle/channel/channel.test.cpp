#include <heddle/channel/channel.hpp>

#include <gtest/gtest.h>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace heddle;
using namespace std::chrono_literals;
using channel_misuse = test::misuse;
using test::eventually;

constexpr bool slow = sys::under_tsan;

template <class T>
bool receivers_wait(const channel<T>& c, std::size_t count) {
  return eventually([&] { return c.stats().waiting_receivers == count; });
}
template <class T>
bool senders_wait(const channel<T>& c, std::size_t count) {
  return eventually([&] { return c.stats().waiting_senders == count; });
}

TEST(channel, is_first_in_first_out) {
  channel<int> c{3};
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(c.send(2 * i));
    EXPECT_TRUE(c.send(2 * i + 1));
    EXPECT_EQ(c.size(), 2U);
    EXPECT_EQ(c.recv(), 2 * i);
    EXPECT_EQ(c.recv(), 2 * i + 1);
  }
  EXPECT_EQ(c.capacity(), 3U);
}

TEST(channel, try_send_and_try_recv_never_wait) {
  channel<int> c{1};
  EXPECT_EQ(c.try_recv().error(), wait_error::timeout);
  EXPECT_TRUE(c.try_send(1));
  EXPECT_EQ(c.try_send(2).error().why, wait_error::timeout);
  EXPECT_EQ(c.try_recv(), 1);
  c.close();
  EXPECT_EQ(c.try_recv().error(), wait_error::closed);
  EXPECT_EQ(c.try_send(3).error().why, wait_error::closed);
}

TEST(channel, a_failed_send_gives_the_value_back) {
  channel<std::unique_ptr<int>> c{1};
  EXPECT_TRUE(c.send(std::make_unique<int>(1)));
  auto late = c.send(std::make_unique<int>(2), deadline::after(1ms));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().why, wait_error::timeout);
  EXPECT_EQ(*late.error().value, 2);
  std::stop_source stop;
  stop.request_stop();
  auto stopped = c.send(std::make_unique<int>(3), {}, stop.get_token());
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().why, wait_error::stopped);
  EXPECT_EQ(*stopped.error().value, 3);
  std::thread closer{[&] {
    EXPECT_TRUE(senders_wait(c, 1));
    c.close();
  }};
  auto closed = c.send(std::make_unique<int>(4));
  closer.join();
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().why, wait_error::closed);
  EXPECT_EQ(*closed.error().value, 4);
  EXPECT_EQ(*c.try_send(std::make_unique<int>(5)).error().value, 5);
  EXPECT_EQ(*c.recv().value(), 1);
}

TEST(channel, a_cancelled_receive_has_taken_nothing) {
  channel<int> c{2};
  EXPECT_EQ(c.recv(deadline::after(1ms)).error(), wait_error::timeout);
  std::stop_source stop;
  std::thread stopper{[&] {
    EXPECT_TRUE(receivers_wait(c, 1));
    stop.request_stop();
  }};
  EXPECT_EQ(c.recv({}, stop.get_token()).error(), wait_error::stopped);
  stopper.join();
  EXPECT_EQ(c.stats().waiting_receivers, 0U);
  EXPECT_TRUE(c.send(7));
  EXPECT_EQ(c.size(), 1U);
  EXPECT_EQ(c.recv(deadline::after(-1s), stop.get_token()), 7) << "what is there is taken, even late";
}

TEST(channel, a_full_channel_makes_senders_wait_in_order) {
  channel<int> c{1};
  EXPECT_TRUE(c.send(0));
  std::vector<std::thread> senders;
  for (int i = 1; i <= 3; ++i) {
    senders.emplace_back([&c, i] { EXPECT_TRUE(c.send(i)); });
    ASSERT_TRUE(senders_wait(c, static_cast<std::size_t>(i)));
  }
  for (int i = 0; i <= 3; ++i) EXPECT_EQ(c.recv(), i);
  for (std::thread& t : senders) t.join();
}

TEST(channel, close_wakes_both_sides) {
  channel<int> empty{1};
  channel<int> full{1};
  EXPECT_TRUE(full.send(1));
  std::vector<std::thread> waiters;
  for (int i = 0; i < 3; ++i) {
    waiters.emplace_back([&] { EXPECT_EQ(empty.recv().error(), wait_error::closed); });
    waiters.emplace_back([&] { EXPECT_EQ(full.send(2).error().why, wait_error::closed); });
  }
  ASSERT_TRUE(receivers_wait(empty, 3));
  ASSERT_TRUE(senders_wait(full, 3));
  empty.close();
  full.close();
  full.close();
  for (std::thread& t : waiters) t.join();
  EXPECT_TRUE(empty.closed());
}

TEST(channel, what_is_inside_can_be_drained_after_close) {
  channel<int> c{4};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(c.send(i));
  c.close();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(c.recv(), i);
  EXPECT_EQ(c.recv().error(), wait_error::closed);
}

TEST(channel, recv_many_takes_what_is_there) {
  channel<int> c{4};
  std::vector<int> got;
  EXPECT_EQ(c.recv_many(got, 8, deadline::after(1ms)).error(), wait_error::timeout);
  EXPECT_EQ(c.recv_many(got, 0), 0U);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(c.send(i));
  std::thread fifth{[&] { EXPECT_TRUE(c.send(4)); }};
  ASSERT_TRUE(senders_wait(c, 1));
  EXPECT_EQ(c.recv_many(got, 3), 3U);
  EXPECT_EQ(got, (std::vector{0, 1, 2}));
  fifth.join();
  EXPECT_EQ(c.recv_many(got, 100), 2U);
  EXPECT_EQ(got, (std::vector{0, 1, 2, 3, 4}));
  std::thread sender{[&] {
    EXPECT_TRUE(receivers_wait(c, 1));
    EXPECT_TRUE(c.send(5));
  }};
  EXPECT_EQ(c.recv_many(got, 100), 1U) << "waits for one, not for more";
  sender.join();
  c.close();
  EXPECT_EQ(c.recv_many(got, 1).error(), wait_error::closed);
}

TEST(channel, recv_many_fills_a_span_as_far_as_it_can) {
  channel<int> c{4};
  std::vector<int> got(3, -1);
  EXPECT_EQ(c.recv_many(std::span{got}, deadline::after(1ms)).error(), wait_error::timeout);
  EXPECT_EQ(c.recv_many(std::span<int>{}), 0U);
  EXPECT_TRUE(c.send(1));
  EXPECT_TRUE(c.send(2));
  EXPECT_EQ(c.recv_many(std::span{got}), 2U);
  EXPECT_EQ(got, (std::vector{1, 2, -1}));
  for (int i = 3; i < 7; ++i) EXPECT_TRUE(c.send(i));
  EXPECT_EQ(c.recv_many(std::span{got}), 3U);
  EXPECT_EQ(got, (std::vector{3, 4, 5}));
  EXPECT_EQ(c.recv(), 6);
}

TEST(channel, a_range_is_what_comes_until_it_is_closed) {
  channel<std::unique_ptr<int>> c{2};
  std::thread sender{[&] {
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(c.send(std::make_unique<int>(i)));
    c.close();
  }};
  std::vector<int> got;
  for (const std::unique_ptr<int>& item : c.items()) got.push_back(*item);
  sender.join();
  ASSERT_EQ(got.size(), 20U);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], i);
  for (const std::unique_ptr<int>& item : c.items()) ADD_FAILURE() << *item;
  channel<int> open{1};
  for (const int item : open.items(deadline::after(1ms))) ADD_FAILURE() << item;
}

TEST(channel, recv_many_leaves_other_receivers_alone) {
  channel<int> c{2};
  std::atomic<int> sum{0};
  std::thread other{[&] { sum += *c.recv(); }};
  ASSERT_TRUE(receivers_wait(c, 1));
  std::thread many{[&] {
    std::vector<int> got;
    EXPECT_TRUE(c.recv_many(got, 10));
    for (const int i : got) sum += i;
  }};
  ASSERT_TRUE(receivers_wait(c, 2));
  std::thread third{[&] { sum += *c.recv(); }};
  ASSERT_TRUE(receivers_wait(c, 3));
  EXPECT_TRUE(c.send(1));   // to `other`
  EXPECT_TRUE(c.send(10));  // to `many`, which then finds the channel empty and `third` waiting
  many.join();
  EXPECT_TRUE(c.send(100));
  other.join();
  third.join();
  EXPECT_EQ(sum.load(), 111);
}

TEST(channel, stats_count_items_and_who_waits) {
  channel<int> c{2, "belt"};
  EXPECT_STREQ(c.name(), "belt");
  std::thread receiver{[&] { EXPECT_TRUE(c.recv()); }};
  ASSERT_TRUE(receivers_wait(c, 1));
  bool seen = false;
  for (const park::wait_info& wait : park::snapshot::take().waits) {
    if (wait.waits_for == resource_kind::channel && wait.resource_name == "belt") seen = true;
  }
  EXPECT_TRUE(seen) << "the wait must show in the picture";
  EXPECT_TRUE(c.send(1));
  receiver.join();
  EXPECT_TRUE(c.send(2));
  EXPECT_TRUE(c.send(3));
  const channel_stats stats = c.stats();
  EXPECT_EQ(stats.length, 2U);
  EXPECT_EQ(stats.capacity, 2U);
  EXPECT_EQ(stats.sent, 3U);
  EXPECT_EQ(stats.received, 1U);
  EXPECT_EQ(stats.waiting_receivers + stats.waiting_senders, 0U);
}

TEST(channel, may_be_destroyed_after_the_last_receive) {
  for (int i = 0; i < (slow ? 1'000 : 5'000); ++i) {
    auto c = std::make_unique<channel<int>>(1);
    std::thread sender{[&where = *c] { EXPECT_TRUE(where.send(1)); }};
    EXPECT_EQ(c->recv(), 1);
    c.reset();
    sender.join();
  }
}

TEST(channel, destroys_what_is_inside) {
  auto shared = std::make_shared<int>(1);
  {
    channel<std::shared_ptr<int>> c{4};
    EXPECT_TRUE(c.send(shared));
    EXPECT_TRUE(c.send(shared));
    EXPECT_TRUE(c.recv());
    EXPECT_EQ(shared.use_count(), 2);
  }
  EXPECT_EQ(shared.use_count(), 1);
}

// --- tasks ---

task<int> sums(channel<int>& c) {
  int sum = 0;
  for (;;) {
    const auto got = co_await c.async_recv();
    if (!got) co_return sum;
    sum += *got;
  }
}

task<void> sends(channel<int>& c, int from, int to) {
  for (int i = from; i < to; ++i) EXPECT_TRUE(co_await c.async_send(i));
}

TEST(channel, tasks_at_both_ends_on_one_thread) {
  channel<int> c{2};
  test::manual_executor here;
  test::started<int> receiver{here, sums(c)};
  test::started<void> sender{here, sends(c, 0, 100)};
  here.run_all();
  EXPECT_TRUE(sender.has_ended());
  c.close();
  here.run_all();
  ASSERT_TRUE(receiver.has_ended());
  EXPECT_EQ(receiver.value(), 4950);
}

TEST(channel, a_task_and_a_thread_meet) {
  channel<int> c{1};
  test::loop_thread loop;
  test::started<int> receiver{loop.where(), sums(c)};
  for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(c.send(i));
  c.close();
  ASSERT_TRUE(receiver.ends());
  EXPECT_EQ(receiver.value(), 499'500);
}

task<std::string> tells_failures(channel<std::string>& c, std::stop_token stop) {
  std::string log;
  auto sent = co_await c.async_send("late", deadline::after(1ms));
  log += std::string{to_string(sent.error().why)} + ' ' + sent.error().value + ' ';
  sent = co_await c.async_send("stopped", {}, stop);
  log += std::string{to_string(sent.error().why)} + ' ' + sent.error().value + ' ';
  EXPECT_EQ((co_await c.async_recv()).value(), "inside");
  log += to_string((co_await c.async_recv(deadline::after(1ms))).error());
  log += ' ';
  log += to_string((co_await c.async_recv(deadline::after(-1s))).error());
  c.close();
  sent = co_await c.async_send("closed");
  log += ' ' + std::string{to_string(sent.error().why)} + ' ' + sent.error().value;
  co_return log;
}

TEST(channel, a_task_is_told_why_it_failed) {
  channel<std::string> c{1};
  EXPECT_TRUE(c.send("inside"));
  std::stop_source stop;
  std::thread stopper{[&] {
    EXPECT_TRUE(senders_wait(c, 1));
    stop.request_stop();
  }};
  EXPECT_EQ(sync_wait(tells_failures(c, stop.get_token())),
            "timeout late stopped stopped timeout timeout closed closed");
  stopper.join();
}

TEST(channel, a_stopped_task_unwinds_and_has_taken_nothing) {
  channel<int> c{1};
  test::manual_executor here;
  test::started<int> receiver{here, sums(c)};
  here.run_all();
  EXPECT_EQ(c.stats().waiting_receivers, 1U);
  receiver.stop();
  EXPECT_TRUE(c.send(1)) << "the receiver has given up: the item stays inside";
  here.run_all();
  ASSERT_TRUE(receiver.has_ended());
  EXPECT_TRUE(receiver.was_stopped());
  EXPECT_EQ(c.recv(), 1);
}

TEST(channel, an_item_given_to_a_task_before_its_stop_is_kept) {
  channel<int> c{1};
  test::manual_executor here;
  std::vector<int> got;
  const auto body = [](channel<int>& from, std::vector<int>& into) -> task<void> {
    for (;;) into.push_back((co_await from.async_recv()).value());
  };
  test::started<void> receiver{here, body(c, got)};
  here.run_all();
  EXPECT_TRUE(c.send(1));
  receiver.stop();
  here.run_all();
  ASSERT_TRUE(receiver.has_ended());
  EXPECT_TRUE(receiver.was_stopped());
  EXPECT_EQ(got, std::vector{1});
}

task<std::size_t> takes_many(channel<int>& c, std::vector<int>& into, std::size_t max, deadline until) {
  const auto got = co_await c.async_recv_many(into, max, until);
  co_return got ? *got : 1'000;
}

TEST(channel, a_task_receives_many) {
  channel<int> c{4};
  std::vector<int> got;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(c.send(i));
  EXPECT_EQ(sync_wait(takes_many(c, got, 2, {})), 2U);
  EXPECT_EQ(sync_wait(takes_many(c, got, 9, {})), 1U);
  EXPECT_EQ(sync_wait(takes_many(c, got, 0, {})), 0U);
  EXPECT_EQ(sync_wait(takes_many(c, got, 9, deadline::after(1ms))), 1'000U);
  test::manual_executor here;
  test::started<std::size_t> waiting{here, takes_many(c, got, 9, {})};
  here.run_all();
  EXPECT_TRUE(c.send(3));
  EXPECT_TRUE(c.send(4));
  here.run_all();
  ASSERT_TRUE(waiting.has_ended());
  EXPECT_EQ(waiting.value(), 2U);
  EXPECT_EQ(got, (std::vector{0, 1, 2, 3, 4}));
}

// --- moves that throw ---

/// Throws at the n-th move from now on.
struct fused {
  static inline thread_local int moves_left = -1;
  int id;
  explicit fused(int i) : id{i} {}
  fused(fused&& other) noexcept(false) : id{other.id} {
    if (moves_left < 0) return;
    --moves_left;
    if (moves_left < 0) throw std::runtime_error{"fused"};
  }
};

TEST(channel, each_move_of_a_send_may_throw) {
  int thrown = 0;
  for (int n = 0; n < 6; ++n) {
    for (const bool somebody_waits : {false, true}) {
      channel<fused> c{1};
      std::atomic<int> got{0};
      std::thread receiver;
      if (somebody_waits) {
        receiver = std::thread{[&] { got = c.recv()->id; }};
        ASSERT_TRUE(receivers_wait(c, 1));
      }
      bool threw = false;
      try {
        fused::moves_left = n;
        EXPECT_TRUE(c.send(fused{1}));
      } catch (const std::runtime_error&) {
        threw = true;
        ++thrown;
      }
      fused::moves_left = -1;
      if (threw) {
        EXPECT_EQ(c.size(), 0U) << "it has not gone through";
        EXPECT_TRUE(c.send(fused{2}));
      }
      if (!somebody_waits) got = c.recv()->id;
      if (receiver.joinable()) receiver.join();
      EXPECT_EQ(got.load(), threw ? 2 : 1);
    }
  }
  EXPECT_GE(thrown, 2) << "the moves into the ring and into the receiver must have been among them";
}

TEST(channel, each_move_of_a_receive_may_throw) {
  int kept = 0;
  for (int n = 0; n < 4; ++n) {
    channel<fused> c{2};
    EXPECT_TRUE(c.send(fused{1}));
    try {
      fused::moves_left = n;
      EXPECT_EQ(c.recv()->id, 1);
    } catch (const std::runtime_error&) {
      if (c.size() == 1) ++kept;
    }
    fused::moves_left = -1;
  }
  EXPECT_EQ(kept, 1) << "a move out of the ring that throws leaves the item inside";
}

TEST(channel, a_move_out_of_a_waiting_sender_that_throws_is_the_senders) {
  channel<fused> c{1};
  EXPECT_TRUE(c.send(fused{1}));
  std::atomic<bool> threw{false};
  std::thread first{[&] {
    try {
      (void)c.send(fused{2});
    } catch (const std::runtime_error&) {
      threw = true;
    }
  }};
  ASSERT_TRUE(senders_wait(c, 1));
  std::thread second{[&] { EXPECT_TRUE(c.send(fused{3})); }};
  ASSERT_TRUE(senders_wait(c, 2));
  fused::moves_left = 1;  // the first is that of the item received, the second that of the one let in
  EXPECT_EQ(c.try_recv()->id, 1);
  fused::moves_left = -1;
  first.join();
  second.join();
  EXPECT_TRUE(threw.load());
  EXPECT_EQ(c.recv()->id, 3);
}

// A worker that blocks on a channel whose other end runs on the same pool of one thread.
TEST(channel, a_worker_may_wait_for_work_of_its_own_pool) {
  thread_pool pool{{.threads = 1}};
  channel<int> c{1};
  auto sum = pool.submit([&] {
    int total = 0;
    while (const auto got = c.recv()) total += *got;
    return total;
  });
  pool.submit([&] {
        for (int i = 0; i < 100; ++i) EXPECT_TRUE(c.send(i));
        c.close();
      })
      .get();
  EXPECT_EQ(sum.get(), 4950);
}

TEST_F(channel_misuse, destroying_what_is_reserved_is_fatal) {
  EXPECT_DEATH(
      {
        reservation<int> place;
        channel<int> c{1};
        place = *c.reserve();
      },
      "a channel was destroyed while a place in it is reserved");
}

TEST_F(channel_misuse, a_reservation_is_used_once) {
  EXPECT_DEATH(
      {
        channel<int> c{2};
        reservation<int> place = *c.reserve();
        place.send(1);
        place.send(2);
      },
      "a reservation was used that has no place any more");
}

TEST_F(channel_misuse, a_rendezvous_has_no_places_to_reserve) {
  EXPECT_DEATH((void)channel<int>{rendezvous}.reserve(), "a rendezvous has no places");
}

TEST_F(channel_misuse, no_capacity_is_fatal) { EXPECT_DEATH(channel<int>{0}, "capacity of at least 1"); }

TEST_F(channel_misuse, destroying_what_is_waited_for_is_fatal) {
  EXPECT_DEATH(
      {
        auto* c = new channel<int>{1};
        std::thread waiter{[c] { (void)c->recv(); }};
        (void)receivers_wait(*c, 1);
        delete c;
      },
      "a channel was destroyed while somebody waits");
}

}  // namespace
