// Orders of locks, contradicting and not. Threads take turns here, each ended before the next begins: nothing ever hangs,
// and what is reported is what could have hung.

#include <heddle/sync/mutex.hpp>
#include <heddle/sync/shared_mutex.hpp>
#include <heddle/watch/lock_order.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/orders.hpp>
#include <tests/support/tasks.hpp>

#include <gtest/gtest.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using park::hold_mode;
using test::alone;
using test::both;
using test::forever;
using test::order_reports;
using test::pretended;

/// Each word is taken by a thread of its own, letter by letter, and given back: a letter is a lock, a small one is read.
void take_in_turns(const std::string& words) {
  static int round = 0;
  const std::string prefix = "round " + std::to_string(++round) + ' ';
  std::map<char, std::unique_ptr<pretended>> locks;
  std::size_t begin = 0;
  while (begin < words.size()) {
    const std::size_t end = std::min(words.find(' ', begin), words.size());
    const std::string word = words.substr(begin, end - begin);
    for (const char c : word) {
      const char upper = static_cast<char>(std::toupper(c));
      auto& lock = locks[upper];
      if (!lock) lock = std::make_unique<pretended>(forever(prefix + upper));
    }
    const auto lock_of = [&](char c) -> pretended& { return *locks.at(static_cast<char>(std::toupper(c))); };
    alone([&] {
      for (const char c : word) lock_of(c).take(std::islower(c) != 0 ? hold_mode::shared : hold_mode::exclusive);
      for (auto c = word.rbegin(); c != word.rend(); ++c) lock_of(*c).give();
    });
    begin = end + 1;
  }
}

struct row {
  const char* words;
  std::size_t reports;
};

void check(const std::vector<row>& table) {
  for (const row& each : table) {
    const order_reports reports;
    take_in_turns(each.words);
    EXPECT_EQ(reports.count(), each.reports) << each.words << '\n' << reports.texts();
  }
}

TEST(lock_order, says_who_where_and_what_to_change) {
  const order_reports reports;
  mutex a{"says a"};
  mutex b{"says b"};
  mutex gate{"says gate"};
  alone([&] {
    const std::lock_guard outer{gate};
    const std::lock_guard first{a};
    const std::lock_guard second{b};
  });
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
  alone([&] {
    const std::lock_guard first{b};
    const std::lock_guard second{a};
  });
  ASSERT_EQ(reports.count(), 1U);
  const watch::report found = reports.all().front();
  EXPECT_EQ(found.what, watch::problem::lock_order);
  EXPECT_EQ(found.how_sure, watch::confidence::possible);
  EXPECT_TRUE(found.sentence.starts_with(
      "Locks are taken in contradicting orders: 'says a' before 'says b' at heddle/watch/lock_order.test.cpp:"))
      << found.sentence;
  EXPECT_NE(found.sentence.find(", 'says b' before 'says a' at heddle/watch/lock_order.test.cpp:"), std::string::npos)
      << found.sentence;
  ASSERT_EQ(found.details.size(), 2U);
  EXPECT_TRUE(found.details[0].starts_with("'says a' taken at heddle/watch/lock_order.test.cpp:")) << found.details[0];
  EXPECT_NE(found.details[0].find(", then 'says b' taken at heddle/watch/lock_order.test.cpp:"), std::string::npos);
  EXPECT_NE(found.details[0].find(", by thread "), std::string::npos) << found.details[0];
  EXPECT_NE(found.details[0].find("; it also held 'says gate'"), std::string::npos) << found.details[0];
  EXPECT_EQ(found.details[1].find("it also held"), std::string::npos) << found.details[1];
  EXPECT_TRUE(found.advice.starts_with("take 'says a' before 'says b' at heddle/watch/lock_order.test.cpp:"))
      << found.advice;
  EXPECT_NE(found.advice.find("as everywhere else, or take both by lock_all."), std::string::npos) << found.advice;
}

TEST(lock_order, longer_circles_are_found) {
  check({{"AB BA", 1},
         {"AB AB", 0},
         {"AB BC AC", 0},
         {"AB BC CA", 1},
         {"AB CA BC", 1},
         {"AB BC CD DA", 1},
         {"AB CD BD DA", 1},
         {"AB CD BC DA", 1},
         {"ABC CA", 1},
         {"AB BC CD DE EF FG GH HI IJ JA", 1},
         {"AB CD EF GH BC DE FG HA", 1},
         {"AB BC CD DB", 1}});
}

TEST(lock_order, is_told_once) {
  check({{"AB BA AB BA BA", 1},
         {"AB BC CA AB BC CA CA", 1},
         {"AB BA BC CB AC CA", 3},
         // B itself keeps the third pair apart: both hold it.
         {"ABC CBA ABC CBA", 2}});
}

TEST(lock_order, readers_alone_are_no_problem) {
  check({{"ab ba", 0},
         {"ab bc ca", 0},
         {"aB Ba", 0},  // whoever holds B gets a, as nobody writes it
         {"Ab bA", 0},
         {"ab bC Ca", 0}});
}

TEST(lock_order, a_writer_makes_readers_a_problem) {
  check({{"aB BA", 1},
         {"Ab BA", 1},
         {"AB Ba", 1},
         {"aB bC cA", 1},
         {"aB Ba CA", 1},  // behind that writer the second reader of A waits
         {"aB Ba AC", 1},
         {"ab ba CA", 0},  // and nobody writes B
         {"ab ba CA DB", 1}});
}

TEST(lock_order, reading_twice_is_told_once) {
  const order_reports reports;
  pretended shelf{forever("twice shelf")};
  pretended other{forever("twice shelf")};
  for (pretended* each : {&shelf, &shelf, &other}) {
    alone([&] {
      each->take(hold_mode::shared);
      each->take(hold_mode::shared);
      each->give();
      each->give();
    });
  }
  ASSERT_EQ(reports.count(), 1U) << reports.texts();
  const watch::report found = reports.all().front();
  EXPECT_EQ(found.how_sure, watch::confidence::possible);
  EXPECT_TRUE(found.sentence.starts_with("'twice shelf' is read at ")) << found.sentence;
  EXPECT_NE(found.sentence.find("it waits for itself if a writer comes between"), std::string::npos) << found.sentence;

  pretended tried{forever("twice tried")};
  tried.take(hold_mode::shared);
  tried.take(hold_mode::shared, true);
  tried.give();
  tried.give();
  EXPECT_EQ(reports.count(), 1U) << reports.texts();
}

TEST(lock_order, one_agent_alone_is_no_problem) {
  const order_reports reports;
  mutex a{"alone a"};
  mutex b{"alone b"};
  alone([&] {
    both(a, b);
    both(b, a);
    both(a, b);
  });
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
  alone([&] { both(a, b); });
  EXPECT_EQ(reports.count(), 1U) << "the same again by somebody else";
}

TEST(lock_order, a_common_gate_keeps_two_orders_apart) {
  const order_reports reports;
  mutex a{"gated a"};
  mutex b{"gated b"};
  mutex gate{"the gate"};
  for (int i = 0; i < 2; ++i) {
    alone([&] {
      const std::lock_guard outer{gate};
      both(a, b);
    });
    alone([&] {
      const std::lock_guard outer{gate};
      both(b, a);
    });
  }
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
  alone([&] { both(b, a); });
  EXPECT_EQ(reports.count(), 1U) << "without the gate";
}

TEST(lock_order, a_gate_that_is_only_read_keeps_nobody_apart) {
  check({{"GAB GBA", 0}, {"gAB gBA", 1}, {"gAB GBA", 0}});
}

TEST(lock_order, two_gates_of_one_class_do_not) {
  const order_reports reports;
  mutex a{"two gates a"};
  mutex b{"two gates b"};
  mutex gates[] = {mutex{"one of the gates"}, mutex{"one of the gates"}};
  const auto behind = [&](mutex& gate, mutex& first, mutex& second) {
    alone([&] {
      const std::lock_guard outer{gate};
      both(first, second);
    });
  };
  behind(gates[0], a, b);
  behind(gates[0], b, a);
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
  behind(gates[1], a, b);  // a chain that is known by its classes
  EXPECT_EQ(reports.count(), 1U);
}

TEST(lock_order, who_knows_a_pair_by_its_classes_asks_again_once_a_gate_is_told_apart) {
  const order_reports reports;
  mutex a{"asks again a"};
  mutex b{"asks again b"};
  mutex gates[] = {mutex{"asks again gate"}, mutex{"asks again gate"}};
  for (int i = 0; i < 3; ++i) both(gates[0], a);
  for (const bool reverse : {false, true}) {
    alone([&] {
      const std::lock_guard outer{gates[0]};
      reverse ? both(b, a) : both(a, b);
    });
  }
  const std::size_t told_apart = watch::lock_order().chains_of_locks;
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
  both(gates[0], a);
  EXPECT_EQ(watch::lock_order().chains_of_locks, told_apart + 1);
  both(gates[1], a);
  EXPECT_EQ(watch::lock_order().chains_of_locks, told_apart + 2) << "an address that nobody has seen in this pair";
}

TEST(lock_order, what_is_tried_has_no_order) {
  const order_reports reports;
  mutex a{"tried a"};
  mutex b{"tried b"};
  alone([&] {
    const std::lock_guard first{a};
    const std::unique_lock second{b, std::try_to_lock};
    ASSERT_TRUE(second.owns_lock());
  });
  alone([&] {
    const std::lock_guard first{a};
    ASSERT_TRUE(b.lock_until(deadline::after(60s)).has_value());
  });
  alone([&] { both(b, a); });
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
}

TEST(lock_order, what_is_tried_counts_as_held) {
  const order_reports reports;
  mutex a{"held though tried a"};
  mutex b{"held though tried b"};
  alone([&] {
    const std::unique_lock first{a, std::try_to_lock};
    const std::lock_guard second{b};
  });
  alone([&] { both(b, a); });
  EXPECT_EQ(reports.count(), 1U);
}

TEST(lock_order, what_a_task_holds_goes_with_it) {
  const order_reports reports;
  mutex a{"task's a"};
  mutex b{"task's b"};
  test::manual_executor loop;
  const auto take = [&](mutex& first, mutex& second) -> task<void> {
    const auto one = co_await first.async_lock();
    co_await this_task::yield();
    const auto two = co_await second.async_lock();
  };
  test::started<void> forth{loop, take(a, b)};
  while (loop.pending() != 0) alone([&] { (void)loop.run_one(); });  // each step on another thread
  ASSERT_TRUE(forth.has_ended());
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
  test::started<void> back{loop, take(b, a), "the one back"};
  while (loop.pending() != 0) alone([&] { (void)loop.run_one(); });
  ASSERT_TRUE(back.has_ended());
  ASSERT_EQ(reports.count(), 1U);
  EXPECT_NE(reports.all().front().details.at(1).find("'the one back'"), std::string::npos) << reports.texts();
}

TEST(lock_order, off_learns_nothing) {
  mutex a{"off a"};
  mutex b{"off b"};
  {
    const order_reports reports{false};
    const watch::lock_order_state before = watch::lock_order();
    alone([&] { both(a, b); });
    alone([&] { both(b, a); });
    EXPECT_EQ(reports.count(), 0U);
    EXPECT_EQ(watch::lock_order().orders, before.orders);
    EXPECT_EQ(watch::lock_order().classes, before.classes);
  }
  const order_reports reports;
  alone([&] { both(a, b); });
  EXPECT_EQ(reports.count(), 0U);
  alone([&] { both(b, a); });
  EXPECT_EQ(reports.count(), 1U);
}

TEST(lock_order, a_handler_may_take_locks) {
  const order_reports reports;
  mutex a{"handler's a"};
  mutex b{"handler's b"};
  mutex c{"handler's c"};
  int calls = 0;
  const watch::subscription takes = watch::on_report([&](const watch::report&) {
    ++calls;
    both(c, b);  // on the thread that holds b and a
  });
  alone([&] { both(a, c); });
  alone([&] {
    const std::lock_guard outer{b};
    const std::lock_guard inner{c};
  });
  EXPECT_EQ(calls, 0);
  mutex d{"handler's d"};
  alone([&] { both(a, d); });
  alone([&] { both(d, a); });
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(reports.count(), 1U) << "its own order, which contradicts another one, is not studied\n" << reports.texts();
}

TEST(lock_order, many_threads_find_one_circle_once) {
  constexpr std::size_t threads = 4;
  constexpr std::size_t locks = 24;
  const order_reports reports;
  std::deque<pretended> all;
  for (std::size_t i = 0; i < locks; ++i) all.emplace_back(forever("crowd " + std::to_string(i)));
  std::latch ready{threads};
  {
    std::vector<std::jthread> crowd;
    crowd.reserve(threads);
    for (std::size_t t = 0; t < threads; ++t) {
      crowd.emplace_back([&, t] {
        ready.arrive_and_wait();
        for (std::size_t step = 0; step < locks * locks; ++step) {
          const std::size_t i = (step / locks + t * 7) % locks;
          const std::size_t k = step % locks;
          if (i >= k) continue;
          all[i].take();
          all[k].take();
          all[k].give();
          all[i].give();
        }
        // The last one before the first one: every thread says so, one report comes.
        all[locks - 1].take();
        all[0].take();
        all[0].give();
        all[locks - 1].give();
      });
    }
  }
  EXPECT_EQ(reports.count(), 1U) << reports.texts();
}

// --- when there is no room: in a process of its own, as the tables are the program's ---

using lock_order_full = test::misuse;

std::deque<pretended> some_locks(int count, const char* name, bool numbered) {
  std::deque<pretended> made;
  for (int i = 0; i < count; ++i) {
    made.emplace_back(numbered ? forever(name + std::to_string(i)) : name);
  }
  return made;
}

// Takes each two of them, in order.
void take_all_pairs(std::deque<pretended>& locks) {
  for (std::size_t i = 0; i < locks.size(); ++i) {
    locks[i].take();
    for (std::size_t k = i + 1; k < locks.size(); ++k) {
      locks[k].take();
      locks[k].give();
    }
    locks[i].give();
  }
}

// 0 if all is as promised.
int fill_classes() {
  const order_reports reports;
  mutex a{"before it is full, a"};
  mutex b{"before it is full, b"};
  alone([&] { both(a, b); });
  auto locks = some_locks(200, "one of too many ", true);  // 19,900 orders
  testing::internal::CaptureStderr();
  take_all_pairs(locks);
  take_all_pairs(locks);
  const std::string said = testing::internal::GetCapturedStderr();
  const watch::lock_order_state state = watch::lock_order();
  std::fprintf(stderr, "%zu orders, %zu chains, said: %s\n", state.orders, state.chains, said.c_str());
  if (said != "heddle: more orders of locks than can be kept; further ones are not studied\n") return 1;
  if (!state.full || state.orders < 8000 || state.orders > 8192 || state.chains < 14'000) return 2;
  return reports.count() == 0 ? 0 : 3;
}

TEST_F(lock_order_full, what_is_full_is_said_once) {
  EXPECT_EXIT(std::exit(fill_classes()), testing::ExitedWithCode(0), "");
}

// 0 if the order of two accounts can still be learned.
int learns_afterwards(const order_reports& reports, std::size_t begun_anew_below) {
  mutex accounts[] = {mutex{"account"}, mutex{"account"}};
  mutex other{"other"};
  alone([&] { both(accounts[0], accounts[1]); });
  alone([&] { both(accounts[1], accounts[0]); });
  alone([&] { both(accounts[0], other); });
  alone([&] { both(other, accounts[0]); });
  std::fprintf(stderr, "%zu chains\n%s", watch::lock_order().chains_of_locks, reports.texts().c_str());
  if (watch::lock_order().full) return 1;
  if (watch::lock_order().chains_of_locks > begun_anew_below) return 2;
  return reports.count() == 2 ? 0 : 3;
}

int fill_orders_of_locks() {
  const order_reports reports;
  auto locks = some_locks(100, "single", false);  // 4,950 orders
  take_all_pairs(locks);
  return learns_afterwards(reports, 2000);
}

int fill_chains_of_locks() {
  const order_reports reports;
  auto locks = some_locks(40, "single", false);  // 780 orders
  auto outer = some_locks(25, "outer ", true);   // each makes 780 chains of them
  for (pretended& each : outer) {
    each.take();
    take_all_pairs(locks);
    each.give();
  }
  return learns_afterwards(reports, 12'000);
}

TEST_F(lock_order_full, single_locks_begin_anew) {
  EXPECT_EXIT(std::exit(fill_orders_of_locks()), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(std::exit(fill_chains_of_locks()), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace heddle
