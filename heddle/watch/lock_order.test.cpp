// Orders of locks, contradicting and not. Threads take turns here, each ended before the next begins: nothing ever hangs,
// and what is reported is what could have hung.

#include <heddle/exec/thread_pool.hpp>
#include <heddle/sync/guarded.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/watch/lock_order.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using park::hold_mode;

/// All reports about orders while it lives; standard error stays quiet.
class collector {
 public:
  explicit collector(bool on = true) {
    watch::settings wanted;
    wanted.log = false;
    wanted.lock_order = on;
    watch::configure(wanted);
  }
  ~collector() { watch::configure(watch::settings::from_environment()); }
  collector(const collector&) = delete;
  collector& operator=(const collector&) = delete;

  [[nodiscard]] std::vector<watch::report> all() const {
    const std::lock_guard guard{lock_};
    return found_;
  }
  [[nodiscard]] std::size_t count() const { return all().size(); }
  [[nodiscard]] std::string texts() const {
    std::string result;
    for (const watch::report& each : all()) result += each.text();
    return result;
  }

 private:
  mutable std::mutex lock_;
  std::vector<watch::report> found_;  // under lock_
  watch::subscription subscription_ = watch::on_report([this](const watch::report& each) {
    if (each.what != watch::problem::lock_order) return;
    const std::lock_guard guard{lock_};
    found_.push_back(each);
  });
};

/// Text that lives as long as the program, as the names of locks must.
const char* forever(std::string text) {
  static std::mutex lock;
  static std::deque<std::string> texts;
  const std::lock_guard guard{lock};
  return texts.emplace_back(std::move(text)).c_str();
}

/// Says that it is held, and is not: for orders of locks that would have to be waited for, or read.
class pretended {
 public:
  explicit pretended(const char* name) : name_{name} {}

  [[gnu::noinline]] void take(hold_mode mode = hold_mode::exclusive, bool tried = false) {
    agent& self = current_agent();
    (void)self.id();
    const park::held_as how{resource_kind::mutex, origin{name_}, true, mode, tried};
    self.now_holds(this, how.with_queue_at(sizeof name_), __builtin_return_address(0));
  }
  void give() { current_agent().no_longer_holds(this); }

 private:
  const char* name_;
  park::queue queue_{true};
};

/// Runs it on a thread of its own, to its end.
template <class Function>
void alone(Function function) {
  std::thread{function}.join();
}

/// Locks both, one after the other, and lets go.
template <class First, class Second>
void both(First& first, Second& second) {
  const std::lock_guard one{first};
  const std::lock_guard two{second};
}

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
    const collector reports;
    take_in_turns(each.words);
    EXPECT_EQ(reports.count(), each.reports) << each.words << '\n' << reports.texts();
  }
}

TEST(lock_order, says_who_where_and_what_to_change) {
  const collector reports;
  mutex a{"says a"};
  mutex b{"says b"};
  mutex gate{"says gate"};
  alone([&] {
    const std::lock_guard outer{gate};
    both(a, b);
  });
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
  alone([&] { both(b, a); });
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
  const collector reports;
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
  EXPECT_TRUE(found.sentence.starts_with("A reader reads 'twice shelf' at ")) << found.sentence;
  EXPECT_NE(found.sentence.find("it waits for itself if a writer comes between"), std::string::npos) << found.sentence;

  pretended tried{forever("twice tried")};
  tried.take(hold_mode::shared);
  tried.take(hold_mode::shared, true);
  tried.give();
  tried.give();
  EXPECT_EQ(reports.count(), 1U) << reports.texts();
}

TEST(lock_order, one_agent_alone_is_no_problem) {
  const collector reports;
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
  const collector reports;
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
  const collector reports;
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

TEST(lock_order, what_is_tried_has_no_order) {
  const collector reports;
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
  const collector reports;
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
  const collector reports;
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

TEST(lock_order, one_text_is_one_class) {
  const collector reports;
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
  const collector reports;
  const auto one = made_here();
  const auto another = made_here();
  mutex b;
  alone([&] { both(*one, b); });
  alone([&] { both(b, *another); });
  ASSERT_EQ(reports.count(), 1U);
  EXPECT_NE(reports.texts().find("'heddle/watch/lock_order.test.cpp:"), std::string::npos) << reports.texts();
}

TEST(lock_order, a_place_in_a_forwarding_header_is_none) {
  const collector reports;
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

TEST(lock_order, two_of_one_class_are_told_apart) {
  const collector reports;
  mutex accounts[] = {mutex{"account"}, mutex{"account"}, mutex{"account"}};
  alone([&] { both(accounts[0], accounts[1]); });
  alone([&] { both(accounts[1], accounts[2]); });
  alone([&] { both(accounts[0], accounts[2]); });
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
  alone([&] { both(accounts[2], accounts[0]); });
  ASSERT_EQ(reports.count(), 1U);
  EXPECT_NE(reports.all().front().sentence.find("'account' (0x"), std::string::npos) << reports.texts();
  EXPECT_NE(reports.all().front().advice.find("in the order of their addresses"), std::string::npos);
}

TEST(lock_order, a_new_lock_at_the_same_address_is_another_one) {
  const collector reports;
  struct alignas(mutex) room {
    unsigned char bytes[sizeof(mutex)];
  };
  room rooms[2];
  const auto in_turn = [&](std::size_t first) {
    std::array<mutex*, 2> made{};
    for (std::size_t i = 0; i < 2; ++i) made.at(i) = new (&rooms[i]) mutex{"reborn"};
    alone([&] { both(*made.at(first), *made.at(1 - first)); });
    for (mutex* each : made) each->~mutex();
  };
  in_turn(0);
  in_turn(1);
  in_turn(0);
  EXPECT_EQ(reports.count(), 0U) << reports.texts();
}

TEST(lock_order, hand_over_hand_is_one_order) {
  const collector reports;
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

TEST(lock_order, off_learns_nothing) {
  mutex a{"off a"};
  mutex b{"off b"};
  {
    const collector reports{false};
    const watch::lock_order_state before = watch::lock_order();
    alone([&] { both(a, b); });
    alone([&] { both(b, a); });
    EXPECT_EQ(reports.count(), 0U);
    EXPECT_EQ(watch::lock_order().orders, before.orders);
    EXPECT_EQ(watch::lock_order().classes, before.classes);
  }
  const collector reports;
  alone([&] { both(a, b); });
  EXPECT_EQ(reports.count(), 0U);
  alone([&] { both(b, a); });
  EXPECT_EQ(reports.count(), 1U);
}

TEST(lock_order, a_handler_may_take_locks) {
  const collector reports;
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
  const collector reports;
  std::deque<pretended> all;
  for (std::size_t i = 0; i < locks; ++i) all.emplace_back(forever("crowd " + std::to_string(i)));
  std::latch ready{threads};
  {
    std::vector<std::jthread> crowd;
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
  const collector reports;
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
int learns_afterwards(const collector& reports, std::size_t begun_anew_below) {
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
  const collector reports;
  auto locks = some_locks(100, "single", false);  // 4,950 orders
  take_all_pairs(locks);
  return learns_afterwards(reports, 2000);
}

int fill_chains_of_locks() {
  const collector reports;
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
