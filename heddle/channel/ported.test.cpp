// Cases that others found worth testing; tests/ported.md says whose.

#include <heddle/channel/channel.hpp>
#include <heddle/channel/select.hpp>

#include <gtest/gtest.h>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>
#include <tests/support/tasks.hpp>

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <set>
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

// A chain of filters, each a task that lets pass what its prime does not divide.
TEST(channel_cases, a_sieve_of_tasks_finds_the_primes) {
  constexpr std::array<int, 10> primes{2, 3, 5, 7, 11, 13, 17, 19, 23, 29};
  for (const channel_capacity capacity : {rendezvous, bounded(3)}) {
    test::loop_thread loop;
    std::deque<channel<int>> links;
    std::deque<test::started<void>> stages;
    const auto counts = [](channel<int>& to) -> task<void> {
      for (int i = 2; co_await to.async_send(i); ++i) {
      }
    };
    const auto filters = [](channel<int>& from, channel<int>& to, int prime) -> task<void> {
      while (const auto n = co_await from.async_recv()) {
        if (*n % prime != 0 && !co_await to.async_send(*n)) break;
      }
    };
    stages.emplace_back(loop.where(), counts(links.emplace_back(capacity)));
    for (const int expected : primes) {
      const int prime = *links.back().recv();
      EXPECT_EQ(prime, expected);
      channel<int>& from = links.back();
      stages.emplace_back(loop.where(), filters(from, links.emplace_back(capacity), prime));
    }
    for (channel<int>& each : links) each.close();
    for (test::started<void>& each : stages) EXPECT_TRUE(each.ends());
  }
}

// Each value is offered to four channels at once, and must come out of exactly one.
TEST(channel_cases, a_value_offered_to_four_channels_goes_to_one) {
  constexpr int items = slow ? 500 : 5'000;
  std::array<channel<int>, 4> c{channel<int>{rendezvous}, channel<int>{rendezvous}, channel<int>{1}, channel<int>{2}};
  channel<int> merged{4};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (int i = 0; i < items; ++i) {
      std::array<send_case<int>, 4> offers{send_case<int>{c[0], i}, send_case<int>{c[1], i}, send_case<int>{c[2], i},
                                           send_case<int>{c[3], i}};
      EXPECT_TRUE(select({offers[0], offers[1], offers[2], offers[3]}));
    }
    for (channel<int>& each : c) each.close();
  });
  std::atomic<int> left{4};
  for (channel<int>& each : c) {
    threads.emplace_back([&] {
      for (const int item : each.items()) EXPECT_TRUE(merged.send(item));
      if (--left == 0) merged.close();
    });
  }
  std::set<int> seen;
  for (const int item : merged.items()) EXPECT_TRUE(seen.insert(item).second) << item << " came twice";
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(items));
}

// What a select leaves behind in a line where it lost must not hide those who wait behind it.
TEST(channel_cases, a_select_that_lost_hides_nobody_behind_it) {
  channel<int> a{rendezvous};
  channel<int> b{rendezvous};
  std::thread selects{[&] {
    recv_case from_a{a};
    recv_case from_b{b};
    EXPECT_EQ(select({from_a, from_b}), 1U);
  }};
  ASSERT_TRUE(receivers_wait(a, 1));
  std::thread behind{[&] { EXPECT_EQ(a.recv(), 1); }};
  ASSERT_TRUE(receivers_wait(a, 2));
  EXPECT_TRUE(b.send(2));
  EXPECT_TRUE(a.send(1));
  selects.join();
  behind.join();
}

TEST(channel_cases, a_channel_goes_through_a_channel) {
  struct link;
  using next = std::shared_ptr<link>;
  struct link {
    channel<next> c{rendezvous};
  };
  constexpr int length = 50;
  auto here = std::make_shared<link>();
  std::thread sender{[at = here] {
    next now = at;
    for (int i = 0; i < length; ++i) {
      auto following = std::make_shared<link>();
      EXPECT_TRUE(now->c.send(following));
      now = following;
    }
  }};
  for (int i = 0; i < length; ++i) here = here->c.recv().value();
  sender.join();
}

// A long chain of tasks, each of which adds one to what it hands on.
TEST(channel_cases, a_chain_of_a_thousand_tasks) {
  constexpr int length = 1'000;
  thread_pool pool{{.threads = 2}};
  std::deque<channel<int>> links;
  std::vector<test::started<void>> stages;
  const auto adds_one = [](channel<int>& from, channel<int>& to) -> task<void> {
    EXPECT_TRUE(co_await to.async_send((co_await from.async_recv()).value() + 1));
  };
  links.emplace_back(rendezvous);
  for (int i = 0; i < length; ++i) {
    channel<int>& from = links.back();
    stages.emplace_back(pool, adds_one(from, links.emplace_back(rendezvous)));
  }
  EXPECT_TRUE(links.front().send(0));
  EXPECT_EQ(links.back().recv(), length);
  for (const test::started<void>& each : stages) EXPECT_TRUE(each.ends());
}

TEST(channel_cases, many_threads_meet_at_a_rendezvous) {
  constexpr int each = slow ? 300 : 2'000;
  constexpr int pairs = 4;
  channel<int> c{rendezvous};
  std::vector<std::atomic<int>> seen(pairs * each);
  std::vector<std::thread> threads;
  for (int t = 0; t < pairs; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) EXPECT_TRUE(c.send(t * each + i));
    });
    threads.emplace_back([&] {
      for (int i = 0; i < each; ++i) seen[static_cast<std::size_t>(*c.recv())].fetch_add(1);
    });
  }
  for (std::thread& t : threads) t.join();
  for (const std::atomic<int>& count : seen) ASSERT_EQ(count.load(), 1);
}

// In a loop of selects that both channels can serve, neither is forgotten.
TEST(channel_cases, a_select_in_a_loop_serves_both) {
  constexpr int items = slow ? 500 : 5'000;
  channel<int> a{rendezvous};
  channel<int> b{8};
  std::thread to_a{[&] {
    for (int i = 0; i < items; ++i) EXPECT_TRUE(a.send(i));
  }};
  std::thread to_b{[&] {
    for (int i = 0; i < items; ++i) EXPECT_TRUE(b.send(i));
  }};
  recv_case from_a{a};
  recv_case from_b{b};
  int next_a = 0;
  int next_b = 0;
  for (int i = 0; i < 2 * items; ++i) {
    if (*select({from_a, from_b}) == 0) {
      EXPECT_EQ(from_a.result(), next_a++);
    } else {
      EXPECT_EQ(from_b.result(), next_b++);
    }
  }
  to_a.join();
  to_b.join();
  EXPECT_EQ(next_a, items);
  EXPECT_EQ(next_b, items);
}

struct nothing {};

TEST(channel_cases, items_may_be_empty) {
  channel<nothing> c{unbounded};
  for (int i = 0; i < 5'000; ++i) EXPECT_TRUE(c.send({}));
  c.close();
  int count = 0;
  for ([[maybe_unused]] const nothing& each : c.items()) ++count;
  EXPECT_EQ(count, 5'000);
}

}  // namespace
