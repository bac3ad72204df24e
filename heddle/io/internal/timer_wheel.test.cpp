#include <heddle/io/internal/timer_wheel.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <random>
#include <vector>

namespace heddle::io {
namespace {

std::vector<timer_entry*> pop_all(timer_wheel& wheel, std::int64_t now) {
  std::vector<timer_entry*> due;
  while (timer_entry* entry = wheel.pop_due(now)) due.push_back(entry);
  return due;
}

TEST(timer_wheel, each_timer_is_due_exactly_at_its_tick) {
  // Around every border between levels, seen from several beginnings.
  for (const std::int64_t start : {std::int64_t{0}, std::int64_t{1}, std::int64_t{63}, std::int64_t{4095},
                                   std::int64_t{1} << 18, (std::int64_t{1} << 30) - 1, std::int64_t{123'456'789'012}}) {
    for (int shift = 0; shift < 40; ++shift) {
      for (const std::int64_t off : {-1, 0, 1}) {
        const std::int64_t tick = start + (std::int64_t{1} << shift) + off;
        timer_wheel wheel;
        wheel.start_at(start);
        timer_entry entry;
        wheel.set(entry, tick);
        EXPECT_EQ(wheel.pop_due(tick - 1), nullptr) << start << ' ' << tick;
        EXPECT_EQ(wheel.pop_due(tick), &entry) << start << ' ' << tick;
        EXPECT_FALSE(entry.is_set());
        EXPECT_TRUE(wheel.empty());
      }
    }
  }
}

TEST(timer_wheel, next_leads_to_each_timer_in_few_steps) {
  timer_wheel wheel;
  wheel.start_at(1000);
  timer_entry entry;
  wheel.set(entry, 5'000'000'000);
  int steps = 0;
  std::int64_t now = 1000;
  while (!wheel.empty()) {
    const std::int64_t next = wheel.next().value();
    EXPECT_GT(next, now);
    now = next;
    (void)wheel.pop_due(now);
    ASSERT_LE(++steps, timer_wheel::levels);
  }
  EXPECT_EQ(now, 5'000'000'000);
  EXPECT_FALSE(wheel.next().has_value());
}

TEST(timer_wheel, a_timer_taken_back_never_comes) {
  timer_wheel wheel;
  std::array<timer_entry, 5> entries;
  for (std::size_t i = 0; i < entries.size(); ++i) wheel.set(entries[i], static_cast<std::int64_t>(70 + i % 2));
  wheel.clear(entries[0]);
  wheel.clear(entries[3]);
  wheel.clear(entries[4]);
  wheel.clear(entries[4]);  // not set any more: nothing happens
  EXPECT_EQ(wheel.size(), 2U);
  auto due = pop_all(wheel, 1000);
  std::ranges::sort(due);
  EXPECT_EQ(due, (std::vector<timer_entry*>{&entries[1], &entries[2]}));
}

TEST(timer_wheel, taking_the_last_one_back_leaves_nothing_to_wake_up_for) {
  timer_wheel wheel;
  timer_entry near;
  timer_entry far;
  wheel.set(near, 10);
  wheel.set(far, 100'000);
  wheel.clear(near);
  EXPECT_GT(wheel.next().value(), 10);
  wheel.clear(far);
  EXPECT_FALSE(wheel.next().has_value());
}

TEST(timer_wheel, the_past_is_due_at_once) {
  timer_wheel wheel;
  wheel.start_at(1'000'000);
  timer_entry entry;
  wheel.set(entry, 5);
  EXPECT_EQ(wheel.pop_due(1'000'000), &entry);
}

TEST(timer_wheel, a_far_future_is_kept_exactly) {
  timer_wheel wheel;
  wheel.start_at(77);
  timer_entry century;
  timer_entry last;
  const std::int64_t in_a_century = std::int64_t{100} * 366 * 86'400 * 1000;
  wheel.set(century, in_a_century);
  wheel.set(last, INT64_MAX);  // kept at the last tick there is
  EXPECT_EQ(wheel.pop_due(in_a_century - 1), nullptr);
  EXPECT_EQ(wheel.pop_due(in_a_century), &century);
  EXPECT_EQ(wheel.pop_due(timer_wheel::max_tick - 1), nullptr);
  EXPECT_EQ(wheel.pop_due(timer_wheel::max_tick), &last);
}

TEST(timer_wheel, agrees_with_a_sorted_map_under_random_use) {
  std::mt19937_64 random{20240229};
  timer_wheel wheel;
  std::vector<timer_entry> entries(500);
  std::multimap<std::int64_t, timer_entry*> model;
  std::int64_t now = 12'345;
  wheel.start_at(now);
  for (int step = 0; step < 50'000; ++step) {
    timer_entry& entry = entries[random() % entries.size()];
    if (entry.is_set()) {
      const auto range = model.equal_range(entry.tick);
      const auto found = std::find_if(range.first, range.second, [&](const auto& e) { return e.second == &entry; });
      ASSERT_NE(found, range.second);
      model.erase(found);
      wheel.clear(entry);
    } else {
      const std::int64_t tick = now + static_cast<std::int64_t>(random() % (std::uint64_t{1} << (random() % 24)));
      wheel.set(entry, tick);
      model.emplace(tick, &entry);
    }
    if (random() % 4 == 0) {
      now += static_cast<std::int64_t>(random() % (std::uint64_t{1} << (random() % 12)));
      std::int64_t before = 0;
      while (timer_entry* due = wheel.pop_due(now)) {
        ASSERT_LE(due->tick, now);
        ASSERT_GE(due->tick, before);
        before = due->tick;
        ASSERT_EQ(model.begin()->first, due->tick);
        const auto range = model.equal_range(due->tick);
        model.erase(std::find_if(range.first, range.second, [&](const auto& e) { return e.second == due; }));
      }
      ASSERT_TRUE(model.empty() || model.begin()->first > now);
    }
    ASSERT_EQ(wheel.size(), model.size());
    if (!model.empty()) ASSERT_LE(wheel.next().value(), model.begin()->first);
  }
}

}  // namespace
}  // namespace heddle::io
