#include <heddle/park/holds.hpp>

#include <heddle/park/agent.hpp>
#include <heddle/sync/mutex.hpp>
#include <tests/support/waiting.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <source_location>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using park::held_as;
using park::hold;
using park::hold_list;
using park::hold_mode;

held_as something() { return {resource_kind::mutex, origin{"something"}, true, hold_mode::exclusive, false}; }

std::vector<hold> read(const hold_list& list) {
  std::vector<hold> out(hold_list::capacity);
  const int n = list.read(out.data());
  out.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  return out;
}

TEST(holds, what_was_packed_comes_out_again) {
  const held_as read_lock{resource_kind::semaphore, origin{"the shelf"}, true, hold_mode::shared, true};
  EXPECT_EQ(read_lock.kind(), resource_kind::semaphore);
  EXPECT_STREQ(read_lock.made().name, "the shelf");
  EXPECT_TRUE(read_lock.named());
  EXPECT_EQ(read_lock.mode(), hold_mode::shared);
  EXPECT_TRUE(read_lock.tried());

  const std::source_location here = std::source_location::current();
  const held_as lock{resource_kind::mutex, origin{here}, false, hold_mode::exclusive, false};
  EXPECT_FALSE(lock.named());
  EXPECT_EQ(lock.mode(), hold_mode::exclusive);
  EXPECT_FALSE(lock.tried());
  EXPECT_EQ(lock.made().place.line(), here.line());
  const held_as tried{resource_kind::mutex, origin{here}, false, hold_mode::shared, true};
  EXPECT_EQ(lock.lock_class(), tried.lock_class());
  EXPECT_NE(lock.lock_class(), read_lock.lock_class());

  EXPECT_EQ(read_lock.queue_at(), 0U);
  const held_as with_queue = read_lock.with_queue_at(12);
  EXPECT_EQ(with_queue.queue_at(), 12U);
  EXPECT_TRUE(with_queue.tried());
  EXPECT_EQ(with_queue.lock_class(), read_lock.lock_class());
}

TEST(holds, what_was_only_prepared_is_not_listed) {
  auto list = std::make_unique<hold_list>();
  const int first = 1;
  const int second = 2;
  ASSERT_TRUE(list->prepare_first(&first, something(), nullptr));
  EXPECT_EQ(list->count(), 0U);
  EXPECT_TRUE(read(*list).empty());
  ASSERT_TRUE(list->prepare_first(&second, something(), nullptr)) << "the first was not taken";
  list->list_first();
  ASSERT_EQ(read(*list).size(), 1U);
  EXPECT_EQ(read(*list)[0].lock, &second);
  EXPECT_FALSE(list->prepare_first(&first, something(), nullptr));
}

TEST(holds, are_given_back_in_any_order) {
  const auto list = std::make_unique<hold_list>();
  const char locks[3] = {};
  for (const char& lock : locks) list->add(&lock, something(), nullptr);
  list->remove(&locks[1]);
  std::vector<hold> now = read(*list);
  ASSERT_EQ(now.size(), 2U);
  EXPECT_EQ(now[0].lock, &locks[0]);
  EXPECT_EQ(now[1].lock, &locks[2]);
  list->remove(&locks[0]);
  now = read(*list);
  ASSERT_EQ(now.size(), 1U);
  EXPECT_EQ(now[0].lock, &locks[2]);
  list->remove(&locks[2]);
  EXPECT_EQ(list->count(), 0U);
}

TEST(holds, more_than_are_listed_are_counted) {
  const auto list = std::make_unique<hold_list>();
  const char locks[hold_list::capacity + 3] = {};
  for (const char& lock : locks) list->add(&lock, something(), nullptr);
  EXPECT_EQ(list->count(), hold_list::capacity + 3);
  EXPECT_EQ(read(*list).size(), hold_list::capacity);
  for (const char& lock : locks) list->remove(&lock);
  EXPECT_EQ(list->count(), 0U);
}

TEST(holds, a_pair_is_told_from_others) {
  const auto list = std::make_unique<hold_list>();
  const char locks[2] = {};
  const held_as one{resource_kind::mutex, origin{"one"}, true, hold_mode::exclusive, false};
  const held_as other{resource_kind::mutex, origin{"other"}, true, hold_mode::exclusive, false};
  const held_as read{resource_kind::mutex, origin{"other"}, true, hold_mode::shared, false};
  EXPECT_EQ(list->pair_with(other, 0), 0U) << "nothing is held";
  list->add(&locks[0], one, nullptr);
  const std::uint64_t pair = list->pair_with(other, 0);
  EXPECT_NE(pair, 0U);
  EXPECT_EQ(list->pair_with(other, 0), pair);
  EXPECT_NE(list->pair_with(read, 0), pair);
  EXPECT_NE(list->pair_with(one, 0), pair);
  EXPECT_NE(list->pair_with(other, 1), pair);
  list->add(&locks[1], other, nullptr);
  EXPECT_EQ(list->pair_with(other, 0), 0U) << "two are held";
  list->remove(&locks[0]);
  EXPECT_NE(list->pair_with(one, 0), pair) << "the other way round";
}

TEST(holds, taking_the_same_again_is_told_apart) {
  const auto list = std::make_unique<hold_list>();
  const char lock{};
  list->add(&lock, something(), nullptr);
  const std::uint16_t first = read(*list).at(0).serial;
  list->remove(&lock);
  list->add(&lock, something(), nullptr);
  EXPECT_NE(read(*list).at(0).serial, first);
}

TEST(holds, may_be_read_while_they_change) {
  const auto list = std::make_unique<hold_list>();
  std::atomic<bool> enough{false};
  // Each lock's address is its call's: a reading that mixed two moments would show a pair that never was.
  static constexpr char places[64] = {};
  const std::jthread changer{[&] {
    for (std::size_t i = 0; !enough; ++i) {
      const char* a = &places[i % 61];
      const char* b = &places[(i + 1) % 61];
      list->add(a, something(), a);
      list->add(b, something(), b);
      list->remove(i % 2 == 0 ? a : b);
      list->remove(i % 2 == 0 ? b : a);
    }
  }};
  hold now[hold_list::capacity];
  int whole = 0;
  while (whole < 20'000) {
    const int n = list->read(now);
    if (n >= 0) ++whole;
    for (int k = 0; k < n; ++k) ASSERT_EQ(now[k].lock, now[k].taken_at);
  }
  enough = true;
}

TEST(holds, who_comes_next_in_the_same_slot_is_told_apart) {
  std::uint32_t slots[2] = {};
  std::uint64_t tenures[2] = {};
  for (int i = 0; i < 2; ++i) {
    std::thread{[&] {
      slots[i] = current_agent().id();
      tenures[i] = current_agent().holds().tenure();
    }}.join();
  }
  ASSERT_EQ(slots[0], slots[1]) << "the slot was not given to the next one";
  EXPECT_NE(tenures[0], tenures[1]);
}

TEST(agent, lists_what_it_holds) {
  mutex outer{"outer"};
  mutex inner{"inner"};
  const std::lock_guard first{outer};
  {
    const std::unique_lock second{inner, std::try_to_lock};
    ASSERT_TRUE(second.owns_lock());
    const std::vector<hold> now = read(current_agent().holds());
    ASSERT_EQ(now.size(), 2U);
    EXPECT_EQ(now[0].lock, &outer);
    EXPECT_FALSE(now[0].how.tried());
    EXPECT_STREQ(now[0].how.made().name, "outer");
    EXPECT_NE(now[0].taken_at, nullptr);
    EXPECT_EQ(now[1].lock, &inner);
    EXPECT_TRUE(now[1].how.tried());
  }
  EXPECT_EQ(current_agent().held(), 1U);
}

}  // namespace
}  // namespace heddle
