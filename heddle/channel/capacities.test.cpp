// Channels that hold nothing or everything, and places that are reserved.

#include <heddle/channel/channel.hpp>

#include <gtest/gtest.h>
#include <heddle/sys/compiler.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>
#include <tests/support/tasks.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace heddle;
using namespace std::chrono_literals;
using test::eventually;

template <class T>
bool receivers_wait(const channel<T>& c, std::size_t count) {
  return eventually([&] { return c.stats().waiting_receivers == count; });
}
template <class T>
bool senders_wait(const channel<T>& c, std::size_t count) {
  return eventually([&] { return c.stats().waiting_senders == count; });
}

// --- rendezvous ---

TEST(rendezvous, a_send_lasts_until_its_item_is_received) {
  channel<int> c{rendezvous};
  EXPECT_EQ(c.capacity(), 0U);
  std::atomic<bool> sent{false};
  std::thread sender{[&] {
    EXPECT_TRUE(c.send(1));
    sent = true;
  }};
  ASSERT_TRUE(senders_wait(c, 1));
  EXPECT_FALSE(sent.load());
  EXPECT_EQ(c.size(), 0U);
  EXPECT_EQ(c.recv(), 1);
  sender.join();
  EXPECT_EQ(c.stats().sent, 1U);
  EXPECT_EQ(c.stats().received, 1U);
}

TEST(rendezvous, try_send_needs_a_receiver_that_waits) {
  channel<int> c{rendezvous};
  EXPECT_EQ(c.try_send(1).error().why, wait_error::timeout);
  EXPECT_EQ(c.try_recv().error(), wait_error::timeout);
  std::thread receiver{[&] { EXPECT_EQ(c.recv(), 2); }};
  ASSERT_TRUE(receivers_wait(c, 1));
  EXPECT_TRUE(c.try_send(2));
  receiver.join();
  std::thread sender{[&] { EXPECT_TRUE(c.send(3)); }};
  ASSERT_TRUE(senders_wait(c, 1));
  EXPECT_EQ(c.try_recv(), 3);
  sender.join();
  c.close();
  EXPECT_EQ(c.try_send(4).error().why, wait_error::closed);
  EXPECT_EQ(c.try_recv().error(), wait_error::closed);
}

TEST(rendezvous, who_gives_up_has_met_nobody) {
  channel<std::unique_ptr<int>> c{rendezvous};
  auto late = c.send_until(std::make_unique<int>(1), deadline::after(1ms));
  ASSERT_FALSE(late);
  EXPECT_EQ(*late.error().value, 1);
  EXPECT_EQ(c.recv_until(deadline::after(1ms)).error(), wait_error::timeout);
  std::stop_source stop;
  std::thread stopper{[&] {
    EXPECT_TRUE(senders_wait(c, 1));
    stop.request_stop();
  }};
  EXPECT_EQ(c.send(std::make_unique<int>(2), {}, stop.get_token()).error().why, wait_error::stopped);
  stopper.join();
  EXPECT_EQ(c.stats().sent, 0U);
  EXPECT_EQ(c.stats().waiting_senders + c.stats().waiting_receivers, 0U);
}

TEST(rendezvous, close_wakes_both_sides) {
  channel<int> with_senders{rendezvous};
  channel<int> with_receivers{rendezvous};
  std::thread sender{[&] { EXPECT_EQ(with_senders.send(1).error().why, wait_error::closed); }};
  std::thread receiver{[&] { EXPECT_EQ(with_receivers.recv().error(), wait_error::closed); }};
  ASSERT_TRUE(senders_wait(with_senders, 1));
  ASSERT_TRUE(receivers_wait(with_receivers, 1));
  with_senders.close();
  with_receivers.close();
  sender.join();
  receiver.join();
  EXPECT_EQ(with_senders.recv().error(), wait_error::closed) << "what was not received has not been sent";
}

TEST(rendezvous, tasks_and_threads_meet) {
  constexpr int each = sys::under_tsan ? 500 : 5'000;
  channel<int> c{rendezvous};
  test::loop_thread loop;
  const auto sends = [](channel<int>& to) -> task<void> {
    for (int i = 0; i < each; ++i) EXPECT_TRUE(co_await to.async_send(1));
  };
  const auto receives = [](channel<int>& from) -> task<int> {
    int sum = 0;
    while (const auto got = co_await from.async_recv()) sum += *got;
    co_return sum;
  };
  test::started<void> sending{loop.where(), sends(c)};
  test::started<int> receiving{loop.where(), receives(c)};
  std::thread sender{[&] {
    for (int i = 0; i < each; ++i) EXPECT_TRUE(c.send(1));
  }};
  int sum = 0;
  std::thread receiver{[&] {
    for (const int i : c.items()) sum += i;
  }};
  sender.join();
  EXPECT_TRUE(sending.ends());
  c.close();
  receiver.join();
  ASSERT_TRUE(receiving.ends());
  EXPECT_EQ(sum + receiving.value(), 2 * each);
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

TEST(rendezvous, a_move_that_throws_is_the_senders) {
  channel<fused> c{rendezvous};
  std::atomic<bool> threw{false};
  std::thread first{[&] {
    try {
      (void)c.send(fused{1});
    } catch (const std::runtime_error&) {
      threw = true;
    }
  }};
  ASSERT_TRUE(senders_wait(c, 1));
  std::thread second{[&] { EXPECT_TRUE(c.send(fused{2})); }};
  ASSERT_TRUE(senders_wait(c, 2));
  fused::moves_left = 0;
  EXPECT_EQ(c.try_recv()->id, 2) << "the next sender is let in";
  fused::moves_left = -1;
  first.join();
  second.join();
  EXPECT_TRUE(threw.load());
  EXPECT_EQ(c.stats().sent, 1U);
}

// --- unbounded ---

TEST(unbounded, a_send_never_waits) {
  constexpr int items = 10'000;
  channel<std::unique_ptr<int>> c{unbounded};
  for (int i = 0; i < items; ++i) EXPECT_TRUE(c.send(std::make_unique<int>(i), deadline::after(-1s)));
  EXPECT_EQ(c.size(), static_cast<std::size_t>(items));
  for (int i = 0; i < items; ++i) EXPECT_EQ(**c.recv(), i);
  for (int i = 0; i < items; ++i) {
    EXPECT_TRUE(c.try_send(std::make_unique<int>(i)));
    EXPECT_EQ(**c.try_recv(), i);
  }
  EXPECT_TRUE(c.send(nullptr));
  c.close();
  EXPECT_TRUE(c.recv());
  EXPECT_FALSE(c.recv());
}

TEST(unbounded, several_threads_send_and_receive_as_they_like) {
  constexpr int each = sys::under_tsan ? 5'000 : 50'000;
  channel<int> c{unbounded};
  std::atomic<long> sum{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (int i = 1; i <= each; ++i) EXPECT_TRUE(c.send(i));
    });
  }
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      std::vector<int> got;
      while (t == 0 ? c.recv_many(got, 50).has_value() : c.recv_many(got, 1).has_value()) {
        for (const int i : got) sum += i;
        got.clear();
      }
    });
  }
  threads[0].join();
  threads[1].join();
  c.close();
  threads[2].join();
  threads[3].join();
  EXPECT_EQ(sum.load(), 2L * each * (each + 1) / 2);
}

TEST(unbounded, destroys_what_is_inside) {
  auto shared = std::make_shared<int>(1);
  {
    channel<std::shared_ptr<int>> c{unbounded};
    for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(c.send(shared));
    for (int i = 0; i < 500; ++i) EXPECT_TRUE(c.recv());
    EXPECT_EQ(shared.use_count(), 501);
  }
  EXPECT_EQ(shared.use_count(), 1);
}

// --- reservations ---

TEST(reservation, a_send_to_it_never_waits) {
  channel<std::unique_ptr<int>> c{1};
  reservation<std::unique_ptr<int>> place = *c.reserve();
  EXPECT_TRUE(place);
  EXPECT_EQ(c.stats().reserved, 1U);
  place.send(std::make_unique<int>(7));
  EXPECT_FALSE(place);
  EXPECT_EQ(c.stats().reserved, 0U);
  EXPECT_EQ(**c.recv(), 7);
}

TEST(reservation, keeps_others_out) {
  channel<int> c{2};
  reservation<int> place = *c.reserve();
  EXPECT_TRUE(c.try_send(1));
  EXPECT_EQ(c.try_send(2).error().why, wait_error::timeout);
  EXPECT_EQ(c.try_reserve().error(), wait_error::timeout);
  EXPECT_EQ(c.reserve(deadline::after(1ms)).error(), wait_error::timeout);
  place.send(3);
  EXPECT_EQ(c.recv(), 1);
  EXPECT_EQ(c.recv(), 3);
}

TEST(reservation, given_up_lets_a_waiting_sender_in) {
  channel<int> c{1};
  reservation<int> place = *c.reserve();
  std::thread sender{[&] { EXPECT_TRUE(c.send(1)); }};
  ASSERT_TRUE(senders_wait(c, 1));
  place.give_up();
  sender.join();
  EXPECT_EQ(c.recv(), 1);
  {
    const auto kept = c.reserve();
    EXPECT_TRUE(kept);
  }
  EXPECT_TRUE(c.try_send(2)) << "its end gives it up, too";
}

TEST(reservation, is_waited_for) {
  channel<int> c{1};
  EXPECT_TRUE(c.send(1));
  std::thread waiter{[&] { c.reserve()->send(2); }};
  ASSERT_TRUE(senders_wait(c, 1));
  EXPECT_EQ(c.recv(), 1);
  EXPECT_EQ(c.recv(), 2);
  waiter.join();
}

TEST(reservation, an_item_passes_it_by_from_hand_to_hand) {
  channel<int> c{1};
  reservation<int> place = *c.reserve();
  std::thread sender{[&] { EXPECT_TRUE(c.send(1)); }};
  ASSERT_TRUE(senders_wait(c, 1));
  EXPECT_EQ(c.recv(), 1) << "the receiver is here, so no place is needed";
  sender.join();
  std::thread receiver{[&] { EXPECT_EQ(c.recv(), 2); }};
  ASSERT_TRUE(receivers_wait(c, 1));
  EXPECT_TRUE(c.send(2));
  receiver.join();
  place.send(3);
  EXPECT_EQ(c.recv(), 3);
}

TEST(reservation, made_before_close_is_honoured) {
  channel<int> c{3};
  reservation<int> used = *c.reserve();
  reservation<int> given_up = *c.reserve();
  EXPECT_TRUE(c.send(1));
  c.close();
  EXPECT_EQ(c.reserve().error(), wait_error::closed);
  EXPECT_EQ(c.recv(), 1);
  EXPECT_EQ(c.try_recv().error(), wait_error::timeout) << "something may still come";
  std::vector<std::thread> receivers;
  std::atomic<int> got{0};
  std::atomic<int> closed{0};
  for (int i = 0; i < 3; ++i) {
    receivers.emplace_back([&] {
      const auto item = c.recv();
      (item ? got : closed).fetch_add(1);
    });
  }
  ASSERT_TRUE(receivers_wait(c, 3));
  used.send(2);
  ASSERT_TRUE(receivers_wait(c, 2));
  given_up.give_up();
  for (std::thread& t : receivers) t.join();
  EXPECT_EQ(got.load(), 1);
  EXPECT_EQ(closed.load(), 2);
}

TEST(reservation, if_the_move_throws_the_place_stays) {
  channel<fused> c{1};
  reservation<fused> place = *c.reserve();
  fused::moves_left = 0;
  EXPECT_THROW(place.send(fused{1}), std::runtime_error);
  fused::moves_left = -1;
  EXPECT_TRUE(place);
  place.send(fused{2});
  EXPECT_EQ(c.recv()->id, 2);
}

TEST(reservation, a_task_awaits_it) {
  channel<int> c{1};
  EXPECT_TRUE(c.send(1));
  test::manual_executor here;
  const auto body = [](channel<int>& to) -> task<void> {
    reservation<int> place = (co_await to.async_reserve()).value();
    place.send(2);
    EXPECT_EQ((co_await to.async_reserve(deadline::after(-1s))).error(), wait_error::timeout);
  };
  test::started<void> waiting{here, body(c)};
  here.run_all();
  EXPECT_EQ(c.recv(), 1);
  EXPECT_EQ(c.try_send(9).error().why, wait_error::timeout) << "the place is the task's";
  here.run_all();
  EXPECT_TRUE(waiting.has_ended());
  EXPECT_EQ(c.recv(), 2);
}

TEST(reservation, a_stopped_task_has_reserved_nothing) {
  channel<int> c{1};
  EXPECT_TRUE(c.send(1));
  test::manual_executor here;
  const auto body = [](channel<int>& to) -> task<void> { (co_await to.async_reserve()).value().send(2); };
  test::started<void> waiting{here, body(c)};
  here.run_all();
  waiting.stop();
  here.run_all();
  EXPECT_TRUE(waiting.was_stopped());
  EXPECT_EQ(c.recv(), 1);
  EXPECT_EQ(c.stats().reserved, 0U);
  EXPECT_TRUE(c.try_send(3));
}

}  // namespace
