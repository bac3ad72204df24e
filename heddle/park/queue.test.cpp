#include <heddle/park/queue.hpp>

#include <gtest/gtest.h>
#include <heddle/park/internal/slot.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

namespace heddle::park {
namespace {

/// Agents whose slots stand in queues; they never wait.
class queue_of_slots : public testing::Test {
 protected:
  slot& make(executor* runs_on = nullptr, std::int64_t since_ns = 0) {
    agents_.push_back(std::make_unique<agent>(agent::kind::task, "stands in a queue", runs_on));
    slot& s = agents_.back()->slot();
    s.item = runs_on != nullptr ? static_cast<task_wait*>(static_cast<void*>(&item_)) : nullptr;  // only compared
    s.runs_on = runs_on;
    s.since_ns = since_ns;
    return s;
  }
  ~queue_of_slots() override {
    for (const auto& each : agents_) {
      each->slot().item = nullptr;
      each->end();
    }
  }

  static std::vector<const slot*> content(const queue_guard& guard) {
    std::vector<const slot*> found;
    for (const slot* s = guard.first(); s != nullptr; s = guard.after(*s)) found.push_back(s);
    return found;
  }

 private:
  work_item item_;
  std::vector<std::unique_ptr<agent>> agents_;
};

using queue = queue_of_slots;  // the name of the suite; what it tests is park::queue

TEST_F(queue, is_first_in_first_out) {
  park::queue q;
  slot& a = make();
  slot& b = make();
  slot& c = make();
  EXPECT_TRUE(q.seems_empty());
  queue_guard guard{q};
  EXPECT_TRUE(guard.empty());
  EXPECT_EQ(guard.first(), nullptr);
  guard.push_back(a);
  guard.push_back(b);
  guard.push_front(c);
  EXPECT_EQ(content(guard), (std::vector<const slot*>{&c, &a, &b}));
  guard.remove(c);
  guard.remove(b);
  EXPECT_EQ(content(guard), (std::vector<const slot*>{&a}));
  guard.unlock();
  EXPECT_FALSE(q.seems_empty());
  queue_guard again{q};
  EXPECT_EQ(content(again), (std::vector<const slot*>{&a}));
  again.remove(a);
  EXPECT_TRUE(again.empty());
}

TEST_F(queue, takes_out_of_the_middle) {
  park::queue q;
  slot& a = make();
  slot& b = make();
  slot& c = make();
  queue_guard guard{q};
  for (slot* s : {&a, &b, &c}) guard.push_back(*s);
  guard.remove(b);
  EXPECT_EQ(content(guard), (std::vector<const slot*>{&a, &c}));
  guard.push_back(b);
  EXPECT_EQ(content(guard), (std::vector<const slot*>{&a, &c, &b}));
  for (slot* s : {&a, &b, &c}) guard.remove(*s);
}

TEST_F(queue, removing_what_does_not_stand_in_it_does_nothing) {
  park::queue q;
  slot& a = make();
  slot& b = make();
  queue_guard guard{q};
  guard.push_back(a);
  guard.remove(b);
  guard.remove(a);
  guard.remove(a);
  EXPECT_TRUE(guard.empty());
}

TEST_F(queue, puts_back_by_age) {
  park::queue q;
  slot& oldest = make(nullptr, 10);
  slot& older = make(nullptr, 20);
  slot& younger = make(nullptr, 30);
  slot& youngest = make(nullptr, 40);
  queue_guard guard{q};
  guard.push_by_age(younger);
  guard.push_by_age(oldest);
  guard.push_by_age(youngest);
  guard.push_by_age(older);
  EXPECT_EQ(content(guard), (std::vector<const slot*>{&oldest, &older, &younger, &youngest}));
  for (slot* s : {&oldest, &older, &younger, &youngest}) guard.remove(*s);
}

TEST_F(queue, knows_when_waiters_of_several_executors_have_met) {
  test::manual_executor one;
  test::manual_executor other;
  slot& first = make(&one);
  slot& second = make(&one);
  slot& stranger = make(&other);
  slot& thread = make();
  slot& another_thread = make();
  for (slot* different : {&stranger, &thread}) {
    park::queue q;
    queue_guard guard{q};
    guard.push_back(first);
    guard.push_back(second);
    EXPECT_FALSE(guard.mixed());
    guard.push_back(*different);
    EXPECT_TRUE(guard.mixed());
    guard.remove(*different);
    EXPECT_TRUE(guard.mixed()) << "until it is empty";
    guard.remove(first);
    guard.remove(second);
    guard.unlock();
    EXPECT_FALSE(queue_guard{q}.mixed());
  }
  park::queue q;
  queue_guard guard{q};
  guard.push_back(thread);
  guard.push_back(another_thread);
  EXPECT_FALSE(guard.mixed());
  guard.remove(thread);
  guard.remove(another_thread);
}

TEST_F(queue, keeps_what_its_owner_noted) {
  park::queue named{true};
  park::queue unnamed;
  slot& s = make();
  for (park::queue* q : {&named, &unnamed}) {
    queue_guard guard{*q};
    guard.push_back(s);
    guard.unlock();
    EXPECT_EQ(q->named(), q == &named);
    queue_guard again{*q};
    again.remove(s);
  }
  EXPECT_TRUE(named.named());
  EXPECT_FALSE(unnamed.named());
}

TEST_F(queue, knows_whether_it_has_been_used) {
  park::queue q{true};
  slot& s = make();
  queue_guard guard{q};
  EXPECT_FALSE(guard.take_used());
  guard.push_back(s);
  EXPECT_TRUE(guard.take_used());
  EXPECT_TRUE(guard.take_used()) << "it is in use";
  guard.remove(s);
  EXPECT_TRUE(guard.take_used());
  EXPECT_FALSE(guard.take_used());
}

TEST_F(queue, a_new_one_at_the_same_address_is_not_known) {
  alignas(park::queue) unsigned char room[sizeof(park::queue)];
  auto* q = new (room) park::queue{true};
  slot& s = make();
  {
    queue_guard guard{*q};
    EXPECT_FALSE(guard.note());
    EXPECT_TRUE(guard.note());
    guard.push_back(s);
  }
  {
    queue_guard guard{*q};
    EXPECT_TRUE(guard.note()) << "kept while somebody comes";
    guard.remove(s);
  }
  EXPECT_TRUE(queue_guard{*q}.note()) << "and goes";
  EXPECT_TRUE(q->named());
  q->~queue();
  q = new (room) park::queue;
  EXPECT_FALSE(queue_guard{*q}.note());
}

TEST_F(queue, says_whether_its_lock_is_held) {
  park::queue q;
  EXPECT_FALSE(q.seems_locked());
  {
    queue_guard guard{q};
    EXPECT_TRUE(q.seems_locked());
    guard.unlock();
    EXPECT_FALSE(q.seems_locked());
  }
  EXPECT_FALSE(q.seems_locked());
}

TEST_F(queue, its_lock_excludes) {
  constexpr int rounds = 20'000;
  park::queue q;
  int count = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < rounds; ++i) {
          const queue_guard guard{q};
          ++count;
        }
      });
    }
  }
  EXPECT_EQ(count, 4 * rounds);
}

}  // namespace
}  // namespace heddle::park
