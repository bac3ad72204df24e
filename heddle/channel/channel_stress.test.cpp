// Many senders and receivers that give up all the time: nothing may be lost or doubled.

#include <heddle/channel/channel.hpp>
#include <heddle/channel/select.hpp>

#include <gtest/gtest.h>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/tasks.hpp>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace heddle;
using namespace std::chrono_literals;

constexpr bool slow = sys::under_tsan;

/// What each item's number says: which sender, which of its items.
struct tally {
  explicit tally(int items) : seen(static_cast<std::size_t>(items)) {}
  std::vector<std::atomic<int>> seen;
  void count(int item) { seen[static_cast<std::size_t>(item)].fetch_add(1, std::memory_order_relaxed); }
  void expect_each_once() const {
    for (std::size_t i = 0; i < seen.size(); ++i) ASSERT_EQ(seen[i].load(), 1) << "item " << i;
  }
};

TEST(channel, items_of_one_sender_arrive_in_order) {
  constexpr int each = slow ? 10'000 : 100'000;
  channel<std::pair<int, int>> c{8};
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (int s = 0; s < 3; ++s) {
    threads.emplace_back([&c, s] {
      for (int i = 0; i < each; ++i) EXPECT_TRUE(c.send({s, i}));
    });
  }
  int next[3] = {};
  for (int i = 0; i < 3 * each; ++i) {
    const auto [s, number] = c.recv().value();
    ASSERT_EQ(number, next[s]++);
  }
  for (std::thread& t : threads) t.join();
}

/// Receives with deadlines and stops that race with the items.
class restless_receiver {
 public:
  explicit restless_receiver(unsigned seed) : random_{seed | 1U} {}
  deadline until() { return deadline::after(std::chrono::nanoseconds{next() % 30'000}); }
  unsigned next() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 17;
    random_ ^= random_ << 5;
    return random_;
  }

 private:
  unsigned random_;
};

/// Fires the stop that is current, over and over, until it is told to end.
class stopper {
 public:
  explicit stopper(std::size_t count) : sources_(count), thread_{[this] { run(); }} {}
  ~stopper() {
    ending_ = true;
    thread_.join();
  }
  stopper(const stopper&) = delete;
  stopper& operator=(const stopper&) = delete;
  std::stop_token token(std::size_t who) {
    const std::lock_guard guard{lock_};
    if (sources_[who].stop_requested()) sources_[who] = std::stop_source{};
    return sources_[who].get_token();
  }

 private:
  void run() {
    for (std::size_t i = 0; !ending_; i = (i + 1) % sources_.size()) {
      std::stop_source source{std::nostopstate};
      {
        const std::lock_guard guard{lock_};
        source = sources_[i];
      }
      source.request_stop();
      std::this_thread::yield();
    }
  }
  std::mutex lock_;
  std::vector<std::stop_source> sources_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

/// How many items go through a storm; HEDDLE_STORM_ITEMS asks for more, such as 10000000.
int storm_items(int usual) {
  const char* const set = std::getenv("HEDDLE_STORM_ITEMS");
  return set != nullptr ? std::atoi(set) : usual;
}

TEST(channel, a_million_items_survive_cancelled_receives) {
  const int items = storm_items(slow ? 100'000 : 1'000'000);
  constexpr int senders = 2;
  constexpr std::size_t receivers = 2;
  channel<std::unique_ptr<int>> c{4};
  tally received{items};
  std::atomic<int> given_up{0};
  std::vector<std::thread> threads;
  {
    stopper stops{receivers};
    for (int s = 0; s < senders; ++s) {
      threads.emplace_back([&c, s, items] {
        restless_receiver dice{static_cast<unsigned>(s) + 77};
        for (int i = s; i < items; i += senders) {
          auto item = std::make_unique<int>(i);
          for (;;) {
            auto sent = c.send(std::move(item), dice.until());
            if (sent) break;
            item = std::move(sent.error().value);
            ASSERT_NE(item, nullptr);
          }
        }
      });
    }
    for (std::size_t r = 0; r < receivers; ++r) {
      threads.emplace_back([&, r] {
        restless_receiver dice{static_cast<unsigned>(r) + 1};
        for (;;) {
          const auto got = c.recv(dice.until(), stops.token(r));
          if (got) {
            received.count(**got);
          } else if (got.error() == wait_error::closed) {
            return;
          } else {
            given_up.fetch_add(1);
          }
        }
      });
    }
    for (int s = 0; s < senders; ++s) threads[static_cast<std::size_t>(s)].join();
    c.close();
    for (std::size_t r = senders; r < threads.size(); ++r) threads[r].join();
  }
  received.expect_each_once();
  EXPECT_GT(given_up.load(), 0);
  EXPECT_EQ(c.stats().sent, static_cast<std::uint64_t>(items));
  EXPECT_EQ(c.stats().received, static_cast<std::uint64_t>(items));
}

// The same for selects: each tries to receive from two channels, and is raced by a deadline and a stop; each send is a
// select, too, which has to keep its item when it loses.
TEST(select, items_survive_cancelled_selects) {
  const int items = storm_items(slow ? 30'000 : 200'000);
  constexpr int senders = 2;
  channel<std::unique_ptr<int>> a{1};
  channel<std::unique_ptr<int>> b{rendezvous};
  tally received{items};
  std::vector<std::thread> threads;
  {
    stopper stops{2};
    for (int s = 0; s < senders; ++s) {
      threads.emplace_back([&, s, items] {
        restless_receiver dice{static_cast<unsigned>(s) + 77};
        send_case to_a{a, nullptr};
        send_case to_b{b, nullptr};
        for (int i = s; i < items; i += senders) {
          to_a.value() = std::make_unique<int>(i);
          for (bool turn = true;; turn = !turn) {
            send_case<std::unique_ptr<int>>& to = turn ? to_a : to_b;
            if (to.value() == nullptr) to.value() = std::move((turn ? to_b : to_a).value());
            if (select({to}, dice.until())) break;
            ASSERT_NE(to.value(), nullptr);
          }
        }
      });
    }
    for (std::size_t r = 0; r < 2; ++r) {
      threads.emplace_back([&, r] {
        restless_receiver dice{static_cast<unsigned>(r) + 1};
        recv_case from_a{a};
        recv_case from_b{b};
        while (true) {
          if (!select({from_a, from_b}, dice.until(), stops.token(r))) continue;
          const auto got = from_a.happened() ? from_a.result() : from_b.result();
          if (!got) return;
          received.count(**got);
        }
      });
    }
    for (int s = 0; s < senders; ++s) threads[static_cast<std::size_t>(s)].join();
    b.close();
    for (std::size_t r = senders; r < threads.size(); ++r) threads[r].join();
    while (const auto left = a.try_recv()) received.count(**left);
  }
  received.expect_each_once();
}

task<void> receives_restlessly(channel<int>& c, tally& received, unsigned seed, std::atomic<int>& given_up) {
  restless_receiver dice{seed};
  std::vector<int> many;
  for (;;) {
    if (dice.next() % 8 == 0) {
      many.clear();
      const auto got = co_await c.async_recv_many(many, 3, dice.until());
      for (const int item : many) received.count(item);
      if (!got && got.error() == wait_error::closed) co_return;
      if (!got) given_up.fetch_add(1);
      continue;
    }
    const auto got = co_await c.async_recv(dice.until());
    if (got) {
      received.count(*got);
    } else if (got.error() == wait_error::closed) {
      co_return;
    } else {
      given_up.fetch_add(1);
    }
  }
}

task<void> sends_restlessly(channel<int>& c, int from, int items, int step) {
  restless_receiver dice{static_cast<unsigned>(from) + 99};
  for (int i = from; i < items; i += step) {
    for (;;) {
      const auto sent = co_await c.async_send(i, dice.until());
      if (sent) break;
      EXPECT_EQ(sent.error().value, i);
    }
  }
}

// Tasks on a pool and threads at both ends, each wait with a deadline that races with the other side.
TEST(channel, tasks_and_threads_lose_and_double_nothing) {
  constexpr int items = slow ? 40'000 : 300'000;
  channel<int> c{4};
  tally received{items};
  std::atomic<int> given_up{0};
  thread_pool pool{{.threads = 2}};
  std::vector<test::started<void>> sending;
  std::vector<test::started<void>> receiving;
  sending.reserve(3);
  receiving.reserve(3);
  for (int i = 0; i < 3; ++i) sending.emplace_back(pool, sends_restlessly(c, i, items, 4));
  for (unsigned i = 0; i < 3; ++i) receiving.emplace_back(pool, receives_restlessly(c, received, i + 1, given_up));
  std::thread sender{[&] {
    for (int i = 3; i < items; i += 4) EXPECT_TRUE(c.send(i));
  }};
  std::thread receiver{[&] {
    while (const auto got = c.recv()) received.count(*got);
  }};
  for (auto& t : sending) EXPECT_TRUE(t.ends());
  sender.join();
  c.close();
  for (auto& t : receiving) EXPECT_TRUE(t.ends());
  receiver.join();
  received.expect_each_once();
}

// Tasks that are stopped in the middle: what they were given they have, what they were not is still inside.
TEST(channel, stopped_tasks_lose_and_double_nothing) {
  constexpr int rounds = slow ? 300 : 3'000;
  constexpr int items = 20;
  thread_pool pool{{.threads = 2}};
  for (int round = 0; round < rounds; ++round) {
    channel<int> c{2};
    tally received{items};
    const auto body = [](channel<int>& from, tally& into) -> task<void> {
      while (const auto got = co_await from.async_recv()) into.count(*got);
    };
    test::started<void> doomed{pool, body(c, received)};
    std::thread sender{[&c] {
      for (int i = 0; i < items; ++i) EXPECT_TRUE(c.send(i));
      c.close();
    }};
    doomed.stop();
    while (const auto got = c.recv()) received.count(*got);
    sender.join();
    ASSERT_TRUE(doomed.ends());
    received.expect_each_once();
  }
}

TEST(channel, close_races_with_sends_and_loses_nothing) {
  constexpr int rounds = slow ? 200 : 1'000;
  for (int round = 0; round < rounds; ++round) {
    channel<int> c{2};
    std::atomic<int> sent{0};
    std::atomic<int> received{0};
    std::vector<std::thread> threads;
    threads.reserve(3);
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        for (int i = 1; c.send(i); ++i) sent.fetch_add(i);
      });
    }
    threads.emplace_back([&] {
      while (const auto got = c.recv()) received.fetch_add(*got);
    });
    while (c.stats().received < static_cast<std::uint64_t>(round % 10)) std::this_thread::yield();
    c.close();
    for (std::thread& t : threads) t.join();
    ASSERT_EQ(sent.load(), received.load());
  }
}

}  // namespace
