#include <heddle/channel/select.hpp>

#include <gtest/gtest.h>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>
#include <tests/support/tasks.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

using namespace heddle;
using namespace std::chrono_literals;
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
template <class T>
void expect_nobody_waits(const channel<T>& c) {
  EXPECT_EQ(c.stats().waiting_receivers + c.stats().waiting_senders, 0U);
}

TEST(select, exactly_one_happens) {
  channel<int> a{1};
  channel<int> b{1};
  EXPECT_TRUE(a.send(1));
  EXPECT_TRUE(b.send(2));
  recv_case from_a{a};
  recv_case from_b{b};
  const auto which = select({from_a, from_b});
  ASSERT_TRUE(which);
  EXPECT_NE(from_a.happened(), from_b.happened());
  EXPECT_EQ(a.size() + b.size(), 1U);
  EXPECT_EQ(*which == 0 ? from_a.result() : from_b.result(), *which == 0 ? 1 : 2);
  EXPECT_EQ(*which == 0 ? b.recv() : a.recv(), *which == 0 ? 2 : 1);
}

TEST(select, waits_until_one_can_happen) {
  channel<int> empty{1};
  channel<int> full{1};
  channel<int> meets{rendezvous};
  EXPECT_TRUE(full.send(0));
  for (int round = 0; round < 3; ++round) {
    recv_case get{empty};
    send_case put{full, 7};
    recv_case meet{meets};
    std::thread other{[&] {
      EXPECT_TRUE(receivers_wait(empty, 1) && senders_wait(full, 1) && receivers_wait(meets, 1));
      if (round == 0) EXPECT_TRUE(empty.send(5));
      if (round == 1) EXPECT_EQ(full.recv(), 0);
      if (round == 2) EXPECT_TRUE(meets.send(6));
    }};
    EXPECT_EQ(select({get, put, meet}), static_cast<std::size_t>(round));
    other.join();
    EXPECT_EQ(get.happened(), round == 0);
    EXPECT_EQ(put.happened(), round == 1);
    EXPECT_EQ(meet.happened(), round == 2);
    if (round == 0) EXPECT_EQ(get.result(), 5);
    if (round == 1) EXPECT_TRUE(put.result());
    if (round == 2) EXPECT_EQ(meet.result(), 6);
    expect_nobody_waits(empty);
    expect_nobody_waits(full);
    expect_nobody_waits(meets);
  }
  EXPECT_EQ(full.recv(), 7);
}

TEST(select, what_loses_has_neither_consumed_nor_dropped) {
  channel<std::unique_ptr<int>> a{1};
  channel<std::unique_ptr<int>> b{1};
  EXPECT_TRUE(b.send(std::make_unique<int>(1)));
  send_case put{b, std::make_unique<int>(2)};
  recv_case get{a};
  EXPECT_EQ(select({put, get}, deadline::after(1ms)).error(), wait_error::timeout);
  ASSERT_NE(put.value(), nullptr);
  EXPECT_EQ(*put.value(), 2);
  std::stop_source stop;
  std::thread stopper{[&] {
    EXPECT_TRUE(receivers_wait(a, 1));
    stop.request_stop();
  }};
  EXPECT_EQ(select({put, get}, {}, stop.get_token()).error(), wait_error::stopped);
  stopper.join();
  EXPECT_EQ(*put.value(), 2);
  EXPECT_TRUE(a.send(std::make_unique<int>(3)));
  EXPECT_EQ(select({put, get}), 1U);
  EXPECT_EQ(**get.result(), 3);
  EXPECT_EQ(*put.value(), 2);
  EXPECT_EQ(**b.recv(), 1);
  EXPECT_EQ(select({put, get}), 0U);
  EXPECT_TRUE(put.result());
  EXPECT_EQ(**b.recv(), 2);
  EXPECT_EQ(a.size(), 0U);
  put.value() = std::make_unique<int>(4);
  EXPECT_EQ(select({get, put}), 1U) << "a case may be used again";
  EXPECT_EQ(**b.recv(), 4);
}

TEST(select, is_fair_among_the_ready) {
  constexpr int rounds = 4'000;
  std::array<channel<int>, 3> c{channel<int>{rounds}, channel<int>{rounds}, channel<int>{1}};
  channel<int> room{rounds};
  for (int i = 0; i < rounds; ++i) EXPECT_TRUE(c[0].send(i) && c[1].send(i));
  std::array<int, 4> times{};
  recv_case first{c[0]};
  recv_case second{c[1]};
  recv_case never{c[2]};
  send_case put{room, 1};
  for (int i = 0; i < rounds; ++i) ++times[*select({first, never, second, put})];
  EXPECT_EQ(times[1], 0);
  for (const std::size_t ready : {0U, 2U, 3U}) {
    EXPECT_GT(times[ready], rounds / 6) << "a third of them, and chance";
  }
}

TEST(select, what_is_ready_happens_even_late) {
  channel<int> c{1};
  channel<int> other{1};
  EXPECT_TRUE(c.send(1));
  std::stop_source stop;
  stop.request_stop();
  recv_case get{c};
  recv_case no{other};
  EXPECT_EQ(select({get, no}, deadline::after(-1s), stop.get_token()), 0U);
  EXPECT_EQ(get.result(), 1);
  EXPECT_EQ(select({get, no}, deadline::after(-1s)).error(), wait_error::timeout);
  EXPECT_EQ(select({get, no}, {}, stop.get_token()).error(), wait_error::stopped);
}

TEST(select, try_select_never_waits) {
  channel<int> a{1};
  channel<int> b{rendezvous};
  recv_case get{a};
  send_case meet{b, 1};
  EXPECT_EQ(try_select({get, meet}), std::nullopt);
  EXPECT_TRUE(a.send(1));
  EXPECT_EQ(try_select({get, meet}), 0U);
  std::thread receiver{[&] { EXPECT_EQ(b.recv(), 1); }};
  ASSERT_TRUE(receivers_wait(b, 1));
  EXPECT_EQ(try_select({get, meet}), 1U);
  receiver.join();
  EXPECT_EQ(try_select(std::span<const select_ref>{}), std::nullopt);
}

TEST(select, a_closed_channel_is_ready) {
  channel<int> a{1};
  channel<int> b{1};
  EXPECT_TRUE(b.send(1));
  recv_case get{a};
  send_case put{b, 2};
  std::thread closer{[&] {
    EXPECT_TRUE(receivers_wait(a, 1));
    a.close();
  }};
  EXPECT_EQ(select({put, get}), 1U);
  closer.join();
  EXPECT_EQ(get.result().error(), wait_error::closed);
  b.close();
  EXPECT_EQ(select({put}), 0U);
  const auto sent = put.result();
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().why, wait_error::closed);
  EXPECT_EQ(sent.error().value, 2);
}

TEST(select, the_same_channel_may_occur_twice) {
  channel<int> c{1};
  recv_case one{c};
  recv_case two{c};
  std::thread sender{[&] {
    EXPECT_TRUE(receivers_wait(c, 2));
    EXPECT_TRUE(c.send(1));
  }};
  const auto which = select({one, two});
  sender.join();
  ASSERT_TRUE(which);
  EXPECT_EQ(*which == 0 ? one.result() : two.result(), 1);
  expect_nobody_waits(c);
  send_case put{c, 2};
  EXPECT_EQ(select({one, put}), 1U) << "there is room and no item";
  EXPECT_EQ(select({one, put}), 0U) << "there is an item and no room";
  EXPECT_EQ(one.result(), 2);
}

TEST(select, does_not_meet_itself) {
  channel<int> c{rendezvous};
  recv_case get{c};
  send_case put{c, 1};
  EXPECT_EQ(select({get, put}, deadline::after(2ms)).error(), wait_error::timeout);
  expect_nobody_waits(c);
  for (const bool send : {true, false}) {
    std::thread other{[&] {
      EXPECT_TRUE(receivers_wait(c, 1) && senders_wait(c, 1));
      if (send) EXPECT_TRUE(c.send(7));
      if (!send) EXPECT_EQ(c.recv(), 1);
    }};
    EXPECT_EQ(select({get, put}), send ? 0U : 1U);
    other.join();
    if (send) EXPECT_EQ(get.result(), 7);
    expect_nobody_waits(c);
  }
}

TEST(select, meets_another_select) {
  constexpr int rounds = slow ? 300 : 3'000;
  channel<int> a{rendezvous};
  channel<int> b{rendezvous};
  std::atomic<int> sent{0};
  std::atomic<int> received{0};
  const auto plays = [&](bool forwards) {
    for (int i = 0; i < rounds; ++i) {
      recv_case get{forwards ? a : b};
      send_case put{forwards ? b : a, 1};
      const auto which = forwards ? select({get, put}) : select({put, get});
      ASSERT_TRUE(which);
      if (get.happened()) {
        received += *get.result();
      } else {
        EXPECT_TRUE(put.result());
        ++sent;
      }
    }
  };
  std::thread one{plays, true};
  std::thread other{plays, false};
  one.join();
  other.join();
  EXPECT_EQ(sent.load(), rounds);
  EXPECT_EQ(received.load(), rounds);
  EXPECT_EQ(a.stats().sent + b.stats().sent, static_cast<std::uint64_t>(rounds));
}

// Both sides send and receive on one and the same channel.
TEST(select, meets_another_select_that_wants_both) {
  constexpr int rounds = slow ? 300 : 3'000;
  channel<int> c{rendezvous};
  std::atomic<int> balance{0};
  const auto plays = [&] {
    for (int i = 0; i < rounds; ++i) {
      recv_case get{c};
      send_case put{c, 1};
      ASSERT_TRUE(select({get, put}));
      balance += put.happened() ? 1 : -1;
    }
  };
  std::thread one{plays};
  std::thread other{plays};
  one.join();
  other.join();
  EXPECT_EQ(balance.load(), 0);
}

TEST(select, waits_for_nothing_but_its_deadline) {
  EXPECT_EQ(select({}, deadline::after(1ms)).error(), wait_error::timeout);
}

TEST(select, shows_in_the_picture) {
  channel<int> a{1, "left"};
  channel<int> b{1};
  recv_case from_a{a};
  recv_case from_b{b};
  std::thread waiter{[&] { EXPECT_EQ(select({from_a, from_b}), 1U); }};
  EXPECT_TRUE(receivers_wait(b, 1));
  std::size_t seen = 0;
  for (const park::wait_info& wait : park::snapshot::take().waits) {
    if (wait.waits_for == resource_kind::channel && wait.resource_name == "select") ++seen;
  }
  EXPECT_EQ(seen, 1U) << "one wait, however many nodes";
  EXPECT_TRUE(b.send(1));
  waiter.join();
}

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

TEST(select, what_a_move_throws_comes_out_of_the_result) {
  channel<fused> a{1};
  channel<fused> b{1};
  send_case put{a, fused{1}};
  fused::moves_left = 0;
  EXPECT_EQ(select({put}), 0U);
  EXPECT_THROW((void)put.result(), std::runtime_error);
  fused::moves_left = -1;
  EXPECT_EQ(a.size(), 0U);
  EXPECT_EQ(select({put}), 0U);
  EXPECT_TRUE(put.result());
  EXPECT_EQ(a.recv()->id, 1);
  // A sender whose move into a waiting select throws keeps its item, and the select waits on.
  recv_case from_a{a};
  recv_case from_b{b};
  std::atomic<int> got{0};
  std::thread waiter{[&] {
    EXPECT_EQ(select({from_a, from_b}), 1U);
    got = from_b.result()->id;
  }};
  ASSERT_TRUE(receivers_wait(a, 1));
  fused::moves_left = 0;
  EXPECT_THROW((void)a.send(fused{2}), std::runtime_error);
  fused::moves_left = -1;
  ASSERT_TRUE(receivers_wait(b, 1));
  EXPECT_TRUE(b.send(fused{3}));
  waiter.join();
  EXPECT_EQ(got.load(), 3);
}

// --- tasks ---

task<int> sums(channel<int>& a, channel<int>& b) {
  int sum = 0;
  recv_case from_a{a};
  recv_case from_b{b};
  std::vector<select_ref> open{from_a, from_b};
  while (!open.empty()) {
    const auto which = co_await async_select(open);
    EXPECT_TRUE(which);
    const auto got = static_cast<recv_case<int>&>(open[*which].get()).result();
    if (got) {
      sum += *got;
    } else {
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(*which));
    }
  }
  co_return sum;
}

TEST(select, tasks_and_threads_meet) {
  constexpr int each = slow ? 500 : 5'000;
  channel<int> a{1};
  channel<int> b{2};
  thread_pool pool{{.threads = 2}};
  test::started<int> receiver{pool, sums(a, b)};
  const auto sends = [](channel<int>& to) -> task<void> {
    channel<int> never{1};
    recv_case no{never};
    send_case put{to, 1};
    for (int i = 0; i < each; ++i) {
      EXPECT_EQ(co_await async_select({no, put}), 1U);
      EXPECT_TRUE(put.result());
      put.value() = 1;
    }
  };
  test::started<void> sender{pool, sends(a)};
  std::thread thread{[&] {
    for (int i = 0; i < each; ++i) EXPECT_TRUE(b.send(1));
  }};
  EXPECT_TRUE(sender.ends());
  a.close();
  thread.join();
  EXPECT_TRUE(eventually([&] { return a.stats().length == 0; }));
  b.close();
  ASSERT_TRUE(receiver.ends());
  EXPECT_EQ(receiver.value(), 2 * each);
}

TEST(select, a_stopped_task_has_done_nothing) {
  channel<int> a{1};
  channel<int> b{rendezvous};
  test::manual_executor here;
  test::started<int> receiver{here, sums(a, b)};
  here.run_all();
  EXPECT_EQ(a.stats().waiting_receivers, 1U);
  EXPECT_EQ(b.stats().waiting_receivers, 1U);
  receiver.stop();
  EXPECT_TRUE(a.send(1)) << "the select has given up: the item stays inside";
  EXPECT_FALSE(b.try_send(2));
  here.run_all();
  ASSERT_TRUE(receiver.has_ended());
  EXPECT_TRUE(receiver.was_stopped());
  EXPECT_EQ(a.recv(), 1);
  expect_nobody_waits(a);
  expect_nobody_waits(b);
}

TEST(select, a_task_is_told_why_none_happened) {
  channel<int> a{1};
  channel<int> b{1};
  const auto body = [](channel<int>& x, channel<int>& y, std::stop_token stop) -> task<void> {
    recv_case from_x{x};
    recv_case from_y{y};
    EXPECT_EQ((co_await async_select({from_x, from_y}, deadline::after(1ms))).error(), wait_error::timeout);
    EXPECT_EQ((co_await async_select({from_x, from_y}, deadline::after(-1s))).error(), wait_error::timeout);
    EXPECT_EQ((co_await async_select({from_x, from_y}, {}, stop)).error(), wait_error::stopped);
  };
  std::stop_source stop;
  std::thread stopper{[&] {
    EXPECT_TRUE(receivers_wait(a, 1));
    stop.request_stop();
  }};
  sync_wait(body(a, b, stop.get_token()));
  stopper.join();
  expect_nobody_waits(a);
}

}  // namespace
