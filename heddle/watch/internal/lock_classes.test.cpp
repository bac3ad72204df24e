// What counts as one lock in an order: its class, or itself.

#include <heddle/sync/guarded.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/recursive_mutex.hpp>
#include <heddle/sync/shared_mutex.hpp>
#include <heddle/watch/lock_order.hpp>
#include <tests/support/orders.hpp>

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

namespace heddle {
namespace {

using test::alone;
using test::both;
using test::forever;
using test::order_reports;

TEST(lock_order, one_text_is_one_class) {
  const order_reports reports;
  // Two copies of the same text, as two shared objects would have.
  mutex a1{forever("one text a")};
  mutex a2{forever("one text a")};
  mutex b{"one text b"};
  alone([&] { both(a1, b); });
  alone([&] { both(b, a2); });
  EXPECT_EQ(reports.count(), 1U);
  alone([&] { both(a1, a2); });
  EXPECT_EQ(reports.count(), 1U) << reports.texts();
  alone([&] { both(a2, a1); });
  EXPECT_EQ(reports.count(), 2U) << "told apart among themselves";
}

std::unique_ptr<mutex> made_here() { return std::unique_ptr<mutex>{new mutex}; }

TEST(lock_order, one_place_is_one_class) {
  const order_reports reports;
  const auto one = made_here();
  const auto another = made_here();
  mutex b;
  alone([&] { both(*one, b); });
  alone([&] { both(b, *another); });
  ASSERT_EQ(reports.count(), 1U);
  EXPECT_NE(reports.texts().find("'heddle/watch/internal/lock_classes.test.cpp:"), std::string::npos)
      << reports.texts();
}

TEST(lock_order, a_place_in_a_forwarding_header_is_none) {
  const order_reports reports;
  const auto one = std::make_unique<mutex>();  // "made" by the standard library
  const auto another = std::make_unique<mutex>();
  guarded<std::vector<int>> value{std::in_place, 3U};
  mutex b{"not forwarded"};
  alone([&] { both(*one, b); });
  alone([&] { both(b, *another); });
  alone([&] { both(*another, *one); });
  EXPECT_EQ(reports.count(), 1U) << "one, b, another, one\n" << reports.texts();
  alone([&] {
    const auto held = value.lock();
    const std::lock_guard second{b};
  });
  EXPECT_EQ(reports.count(), 1U) << reports.texts();
  alone([&] { both(b, *one); });
  EXPECT_EQ(reports.count(), 2U) << reports.texts();
}

template <class Lock>
void two_of_one_class_are_told_apart(const std::string& name) {
  const order_reports reports;
  const char* const text = forever(name);
  Lock accounts[] = {Lock{text}, Lock{text}, Lock{text}};
  alone([&] { both(accounts[0], accounts[1]); });
  alone([&] { both(accounts[1], accounts[2]); });
  alone([&] { both(accounts[0], accounts[2]); });
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
  alone([&] { both(accounts[2], accounts[0]); });
  ASSERT_EQ(reports.count(), 1U) << name;
  EXPECT_NE(reports.all().front().sentence.find('\'' + name + "' (0x"), std::string::npos) << reports.texts();
  EXPECT_NE(reports.all().front().advice.find("in the order of their addresses"), std::string::npos);
}

TEST(lock_order, two_of_one_class_are_told_apart) {
  two_of_one_class_are_told_apart<mutex>("account");
  two_of_one_class_are_told_apart<recursive_mutex>("recursive account");
  two_of_one_class_are_told_apart<shared_mutex>("shared account");
}

template <class Lock>
void a_new_lock_is_another_one(const char* name) {
  const order_reports reports;
  struct alignas(Lock) room {
    unsigned char bytes[sizeof(Lock)];
  };
  room rooms[2];
  const auto in_turn = [&](std::size_t first) {
    std::array<Lock*, 2> made{};
    for (std::size_t i = 0; i < 2; ++i) made.at(i) = new (&rooms[i]) Lock{name};
    alone([&] { both(*made.at(first), *made.at(1 - first)); });
    for (Lock* each : made) each->~Lock();
  };
  in_turn(0);
  in_turn(1);
  in_turn(0);
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
}

TEST(lock_order, a_new_lock_at_the_same_address_is_another_one) {
  a_new_lock_is_another_one<mutex>("reborn");
  a_new_lock_is_another_one<recursive_mutex>("recursive, reborn");
  a_new_lock_is_another_one<shared_mutex>("shared, reborn");
}

TEST(lock_order, a_recursive_lock_taken_again_is_no_order) {
  const order_reports reports;
  recursive_mutex a{"again a"};
  mutex b{"again b"};
  alone([&] {
    const std::lock_guard first{a};
    const std::lock_guard second{b};
    const std::lock_guard again{a};  // held already: nobody can be in the way
  });
  alone([&] { both(a, b); });
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
}

TEST(lock_order, a_shared_mutex_is_read_and_written) {
  const order_reports reports;
  shared_mutex a{"shelf a"};
  shared_mutex b{"shelf b"};
  mutex other{"beside the shelves"};
  const auto read_both = [](shared_mutex& first, shared_mutex& second) {
    const std::shared_lock one{first};
    const std::shared_lock two{second};
  };
  alone([&] { read_both(a, b); });
  alone([&] { read_both(b, a); });
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
  alone([&] { both(other, a); });
  alone([&] { both(other, b); });
  EXPECT_EQ(reports.count(), 1U) << "behind those writers the readers wait for each other";
}

TEST(lock_order, hand_over_hand_is_one_order) {
  const order_reports reports;
  std::deque<mutex> list;
  for (int i = 0; i < 20; ++i) list.emplace_back("link");
  const auto walk = [&](bool backwards) {
    std::unique_lock<mutex> here{list[backwards ? 19 : 0]};
    for (std::size_t i = 1; i < list.size(); ++i) {
      std::unique_lock<mutex> next{list[backwards ? 19 - i : i]};
      here = std::move(next);
    }
  };
  for (int i = 0; i < 3; ++i) alone([&] { walk(false); });
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
  alone([&] { walk(true); });
  EXPECT_EQ(reports.count(), 19U) << "each pair contradicts its own";
}

}  // namespace
}  // namespace heddle
