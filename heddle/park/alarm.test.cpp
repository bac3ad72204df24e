#include <heddle/park/alarm.hpp>

#include <gtest/gtest.h>
#include <tests/support/waiting.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace heddle::park {
namespace {

using namespace std::chrono_literals;
using test::eventually;

/// Counts its rings and notes when the last one was.
struct bell {
  std::atomic<int> rings{0};
  std::atomic<std::int64_t> at_ns{0};
  static void ring(void* self) noexcept {
    auto& b = *static_cast<bell*>(self);
    b.at_ns = deadline::clock::now().time_since_epoch().count();
    ++b.rings;
  }
};

TEST(alarm, rings_once_and_not_early) {
  bell b;
  alarm a;
  const deadline when = deadline::after(5ms);
  a.set(when, &bell::ring, &b);
  EXPECT_TRUE(eventually([&] { return b.rings == 1; }));
  EXPECT_GE(b.at_ns, when.ns());
  bell later;
  alarm next;
  next.set(deadline::after(5ms), &bell::ring, &later);
  EXPECT_TRUE(eventually([&] { return later.rings == 1; }));
  EXPECT_EQ(b.rings, 1);
}

TEST(alarm, may_be_set_again_after_it_rang) {
  bell b;
  alarm a;
  for (int i = 1; i <= 3; ++i) {
    a.set(deadline::after(1ms), &bell::ring, &b);
    ASSERT_TRUE(eventually([&] { return b.rings == i; }));
    a.clear();
  }
}

TEST(alarm, one_in_the_past_rings_at_once) {
  bell b;
  alarm a;
  a.set(deadline::after(-1h), &bell::ring, &b);
  EXPECT_TRUE(eventually([&] { return b.rings == 1; }));
}

TEST(alarm, never_rings_never) {
  bell b;
  {
    alarm a;
    a.set(deadline::never(), &bell::ring, &b);
    bell other;
    alarm soon;
    soon.set(deadline::after(1ms), &bell::ring, &other);
    EXPECT_TRUE(eventually([&] { return other.rings == 1; }));
  }
  EXPECT_EQ(b.rings, 0);
}

TEST(alarm, does_not_ring_once_it_is_cleared) {
  constexpr int rounds = 300;
  for (int i = 0; i < rounds; ++i) {
    bell b;
    alarm a;
    a.set(deadline::after(std::chrono::microseconds(i)), &bell::ring, &b);
    a.clear();
    const int rings = b.rings;
    EXPECT_LE(rings, 1);
    bell after;
    alarm next;
    next.set(deadline::after(std::chrono::microseconds(i)), &bell::ring, &after);
    ASSERT_TRUE(eventually([&] { return after.rings == 1; }));
    EXPECT_EQ(b.rings, rings);
  }
}

/// Rings until it is let go.
struct long_ring {
  std::atomic<bool> begun{false};
  std::atomic<bool> may_end{false};
  std::atomic<bool> ended{false};
  static void ring(void* self) noexcept {
    auto& r = *static_cast<long_ring*>(self);
    r.begun = true;
    while (!r.may_end) std::this_thread::yield();
    r.ended = true;
  }
};

TEST(alarm, clearing_waits_for_the_ring_in_progress) {
  long_ring r;
  alarm a;
  a.set(deadline::after(0s), &long_ring::ring, &r);
  ASSERT_TRUE(eventually([&] { return r.begun.load(); }));
  std::atomic<bool> cleared{false};
  std::jthread clearing{[&] {
    a.clear();
    EXPECT_TRUE(r.ended);
    cleared = true;
  }};
  const deadline a_while = deadline::after(5ms);
  EXPECT_TRUE(eventually([&] { return a_while.has_passed() || cleared; }));
  EXPECT_FALSE(cleared);
  r.may_end = true;
  clearing.join();
}

TEST(alarm, clearing_another_does_not_wait_for_the_ring_in_progress) {
  long_ring r;
  bell b;
  alarm a;
  alarm other;
  other.set(deadline::after(1h), &bell::ring, &b);
  a.set(deadline::after(0s), &long_ring::ring, &r);
  ASSERT_TRUE(eventually([&] { return r.begun.load(); }));
  other.clear();
  EXPECT_FALSE(r.ended);
  r.may_end = true;
}

TEST(alarm, may_clear_itself_while_it_rings) {
  struct own {
    alarm a;
    std::atomic<bool> done{false};
  } o;
  o.a.set(
      deadline::after(0s),
      [](void* self) noexcept {
        auto& me = *static_cast<own*>(self);
        me.a.clear();
        me.done = true;
      },
      &o);
  EXPECT_TRUE(eventually([&] { return o.done.load(); }));
}

TEST(alarm, many_ring_in_the_order_of_their_times) {
  constexpr std::size_t count = 500;
  struct shared {
    std::mutex lock;
    std::vector<std::size_t> order;
  } seen;
  struct entry {
    alarm a;
    shared* to;
    std::size_t rank;
  };
  std::vector<std::size_t> ranks;
  for (std::size_t i = 0; i < count; ++i) ranks.push_back(i);
  std::ranges::shuffle(ranks, std::mt19937{1});
  std::deque<entry> entries(count);
  const auto start = deadline::clock::now() + 200ms;
  for (std::size_t i = 0; i < count; ++i) {
    entries[i].to = &seen;
    entries[i].rank = ranks[i];
    entries[i].a.set(
        start + std::chrono::microseconds(ranks[i]),
        [](void* self) noexcept {
          const auto& e = *static_cast<entry*>(self);
          const std::lock_guard guard{e.to->lock};
          e.to->order.push_back(e.rank);
        },
        &entries[i]);
  }
  const bool all_set_before = !deadline{start}.has_passed();
  std::size_t cleared = 0;
  for (std::size_t i = 0; i < count; i += 5) {  // some of them are taken back
    entries[i].a.clear();
    const std::lock_guard guard{seen.lock};
    if (std::ranges::find(seen.order, entries[i].rank) == seen.order.end()) ++cleared;
  }
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard guard{seen.lock};
    return seen.order.size() == count - cleared;
  }));
  const std::lock_guard guard{seen.lock};
  EXPECT_TRUE(std::ranges::is_sorted(seen.order) || !all_set_before);
}

TEST(alarm, setting_and_clearing_from_many_threads_loses_none) {
  constexpr int rounds = 500;
  std::atomic<int> rang{0};
  std::atomic<int> missed{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < rounds; ++i) {
          bell b;
          alarm a;
          a.set(deadline::after(std::chrono::microseconds((i * 7 + t) % 60)), &bell::ring, &b);
          if (i % 2 == 0) {
            a.clear();
          } else {
            if (!eventually([&] { return b.rings == 1; })) ++missed;
            ++rang;
          }
        }
      });
    }
  }
  EXPECT_EQ(missed, 0);
  EXPECT_EQ(rang, 4 * rounds / 2);
}

}  // namespace
}  // namespace heddle::park
