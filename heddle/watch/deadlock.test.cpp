// Deadlocks of every kind that watch promises to find, each within 100 ms and once; and what looks like one and is none.

#include <heddle/exec/thread_pool.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/semaphore.hpp>
#include <heddle/sync/shared_mutex.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/no_deadlocks.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <latch>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::loop_thread;
using test::started;
using watch::relation;

/// All reports about deadlocks while it lives; standard error stays quiet.
class collector {
 public:
  explicit collector(watch::policy policy = watch::policy::report_only) {
    watch::settings wanted;
    wanted.on_deadlock = policy;
    wanted.log = false;
    watch::configure(wanted);
  }
  ~collector() { watch::configure(watch::settings::from_environment()); }
  collector(const collector&) = delete;
  collector& operator=(const collector&) = delete;

  [[nodiscard]] std::vector<watch::report> all() const {
    const std::lock_guard guard{lock_};
    return found_;
  }

  /// Waits for the first one.
  [[nodiscard]] watch::report first() const {
    if (!test::eventually([this] { return !all().empty(); })) return {};
    return all().front();
  }

 private:
  test::makes_deadlocks deliberate_;
  mutable std::mutex lock_;
  std::vector<watch::report> found_;  // under lock_
  watch::subscription subscription_ = watch::on_report([this](const watch::report& each) {
    if (each.what != watch::problem::deadlock) return;
    const std::lock_guard guard{lock_};
    found_.push_back(each);
  });
};

std::vector<relation> relations(const watch::report& of) {
  std::vector<relation> all;
  for (const watch::edge& each : of.edges) all.push_back(each.why);
  std::ranges::sort(all);
  return all;
}

/// Locks `first`, then, once all who share `both` have done so, `second` until stopped.
void lock_both(mutex& first, mutex& second, std::latch& both, const std::stop_token& end) {
  const std::lock_guard held{first};
  both.arrive_and_wait();
  (void)second.lock_until(deadline::never(), end);
}

task<void> lock_both_as_task(mutex& first, mutex& second, std::latch& both) {
  const auto held = co_await first.async_lock();
  both.arrive_and_wait();
  const auto wanted = co_await second.async_lock();
}

// From when the circle closed until it was reported.
std::chrono::nanoseconds time_to_find_a_circle() {
  const collector reports;
  mutex left{"left"};
  mutex right{"right"};
  std::stop_source end;
  std::latch both{2};
  const std::jthread one{[&] { lock_both(left, right, both, end.get_token()); }};
  const std::jthread two{[&] { lock_both(right, left, both, end.get_token()); }};
  const watch::report found = reports.first();
  end.request_stop();
  EXPECT_EQ(found.edges.size(), 2U) << found.text();
  if (found.edges.size() != 2) return std::chrono::nanoseconds::max();
  return found.at - std::max(found.edges[0].wait.since, found.edges[1].wait.since);
}

// On a machine that has other things to do the thread that looks may get the processor late; not each time.
TEST(deadlock, of_two_threads_is_found_within_100_ms) {
  auto shortest = time_to_find_a_circle();
  for (int i = 0; i < 20 && shortest >= 100ms; ++i) shortest = std::min(shortest, time_to_find_a_circle());
  EXPECT_LT(shortest, 100ms);
}

TEST(deadlock, of_two_threads_is_found_once) {
  const collector reports;
  mutex left{"left"};
  mutex right{"right"};
  std::stop_source end;
  std::latch both{2};
  std::thread one{[&] { lock_both(left, right, both, end.get_token()); }};
  std::thread two{[&] { lock_both(right, left, both, end.get_token()); }};
  const watch::report found = reports.first();
  ASSERT_EQ(found.edges.size(), 2U) << found.text();
  EXPECT_EQ(found.how_sure, watch::confidence::certain);
  EXPECT_EQ(relations(found), (std::vector{relation::holds, relation::holds}));
  EXPECT_NE(found.edges[0].wait.resource, found.edges[1].wait.resource);
  EXPECT_EQ(found.edges[0].other, found.edges[1].wait.agent);
  EXPECT_EQ(found.edges[1].other, found.edges[0].wait.agent);
  EXPECT_FALSE(found.until.has_value());
  EXPECT_EQ(found.sentence.find("Deadlock of 2: thread "), 0U) << found.sentence;
  EXPECT_NE(found.advice.find("in the same order"), std::string::npos);

  // It stands while others come and wait behind it: still one report, but for whoever looks.
  mutex third{"third"};
  std::thread more{[&] {
    const std::unique_lock held{third};
    (void)left.lock_until(deadline::never(), end.get_token());
  }};
  ASSERT_TRUE(test::waited_for(left, 2));
  std::thread last{[&] { (void)third.lock_until(deadline::never(), end.get_token()); }};
  ASSERT_TRUE(test::waited_for(third));
  const deadline a_while = deadline::after(60ms);
  ASSERT_TRUE(test::passed(a_while));
  EXPECT_EQ(reports.all().size(), 1U);
  end.request_stop();
  for (std::thread* each : {&one, &two, &more, &last}) each->join();
}

TEST(deadlock, of_three_threads_is_found_with_its_edges_in_order) {
  const collector reports;
  mutex a{"a"};
  mutex b{"b"};
  mutex c{"c"};
  std::stop_source end;
  std::latch all{3};
  std::thread one{[&] { lock_both(a, b, all, end.get_token()); }};
  std::thread two{[&] { lock_both(b, c, all, end.get_token()); }};
  std::thread three{[&] { lock_both(c, a, all, end.get_token()); }};
  const watch::report found = reports.first();
  EXPECT_EQ(found.edges.size(), 3U) << found.text();
  for (std::size_t i = 0; i < found.edges.size(); ++i) {
    EXPECT_EQ(found.edges[i].other, found.edges[(i + 1) % found.edges.size()].wait.agent);
  }
  end.request_stop();
  for (std::thread* each : {&one, &two, &three}) each->join();
  EXPECT_EQ(reports.all().size(), 1U);
}

TEST(deadlock, of_a_thread_and_a_task_is_found) {
  const collector reports;
  mutex left{"left"};
  mutex right{"right"};
  std::stop_source end;
  std::latch both{2};
  loop_thread loop;
  std::thread thread{[&] { lock_both(left, right, both, end.get_token()); }};
  const started task{loop.where(), lock_both_as_task(right, left, both), "the task"};
  const watch::report found = reports.first();
  EXPECT_EQ(relations(found), (std::vector{relation::holds, relation::holds}));
  EXPECT_NE(found.sentence.find("'the task'"), std::string::npos) << found.sentence;
  end.request_stop();
  thread.join();
  EXPECT_TRUE(task.ends());
  EXPECT_EQ(reports.all().size(), 1U);
}

TEST(deadlock, of_two_tasks_of_one_loop_is_found) {
  const collector reports;
  mutex left{"left"};
  mutex right{"right"};
  loop_thread loop;
  const auto body = [](mutex& first, mutex& second) -> task<void> {
    const auto held = co_await first.async_lock();
    co_await this_task::yield();
    co_await this_task::yield();
    const auto wanted = co_await second.async_lock();
  };
  started one{loop.where(), body(left, right)};
  started two{loop.where(), body(right, left)};
  const watch::report found = reports.first();
  EXPECT_EQ(relations(found), (std::vector{relation::holds, relation::holds})) << found.text();
  one.stop();
  EXPECT_TRUE(one.ends());
  EXPECT_TRUE(two.ends());
  EXPECT_EQ(reports.all().size(), 1U);
}

TEST(deadlock, of_a_reader_that_reads_again_behind_a_writer_is_found) {
  const collector reports;
  shared_mutex m{"the table"};
  std::stop_source end;
  std::thread reader{[&] {
    const std::shared_lock first{m};
    std::thread writer{[&] { (void)m.lock_until(deadline::never(), end.get_token()); }};
    EXPECT_TRUE(test::waited_for(m));
    const deadline a_while = deadline::after(5ms);
    EXPECT_TRUE(test::passed(a_while));  // until newcomers go behind the writer
    (void)m.lock_shared_until(deadline::never(), end.get_token());
    writer.join();
  }};
  const watch::report found = reports.first();
  EXPECT_EQ(relations(found), (std::vector{relation::reads, relation::is_ahead})) << found.text();
  EXPECT_NE(found.sentence.find("waits for shared_mutex 'the table' behind thread"), std::string::npos)
      << found.sentence;
  end.request_stop();
  reader.join();
  EXPECT_EQ(reports.all().size(), 1U);
}

TEST(deadlock, of_a_writer_and_a_reader_is_found) {
  const collector reports;
  shared_mutex table{"the table"};
  mutex row{"the row"};
  std::stop_source end;
  std::latch both{2};
  std::thread reader{[&] {
    const std::shared_lock held{table};
    both.arrive_and_wait();
    (void)row.lock_until(deadline::never(), end.get_token());
  }};
  std::thread writer{[&] {
    const std::lock_guard held{row};
    both.arrive_and_wait();
    (void)table.lock_until(deadline::never(), end.get_token());
  }};
  const watch::report found = reports.first();
  EXPECT_EQ(relations(found), (std::vector{relation::holds, relation::reads})) << found.text();
  end.request_stop();
  reader.join();
  writer.join();
  EXPECT_EQ(reports.all().size(), 1U);
}

TEST(deadlock, of_a_thread_that_waits_for_the_end_of_a_task_which_needs_its_lock_is_found) {
  const collector reports;
  mutex m{"kept"};
  std::stop_source end;
  std::thread thread{[&] {
    const std::lock_guard held{m};
    const auto body = [](mutex& wanted) -> task<void> { const auto lock = co_await wanted.async_lock(); };
    EXPECT_TRUE(sync_wait_outcome(body(m), {end.get_token(), {}}).is_stopped());
  }};
  const watch::report found = reports.first();
  EXPECT_EQ(relations(found), (std::vector{relation::holds, relation::ends})) << found.text();
  EXPECT_NE(found.sentence.find("waits for the end of task"), std::string::npos) << found.sentence;
  end.request_stop();
  thread.join();
  EXPECT_EQ(reports.all().size(), 1U);
}

TEST(deadlock, of_a_scope_that_waits_for_a_child_which_needs_its_lock_is_found) {
  const collector reports;
  mutex m{"kept"};
  loop_thread loop;
  const auto body = [](mutex& kept) -> task<void> {
    const auto held = co_await kept.async_lock();
    co_await with_scope([&](scope& s) -> task<void> {
      const auto child = [](mutex& wanted) -> task<void> { const auto lock = co_await wanted.async_lock(); };
      s.spawn(child(kept), "the child");
      co_return;
    });
  };
  started parent{loop.where(), body(m), "the parent"};
  const watch::report found = reports.first();
  EXPECT_EQ(relations(found), (std::vector{relation::holds, relation::ends})) << found.text();
  EXPECT_NE(found.sentence.find("waits for the end of task"), std::string::npos) << found.sentence;
  parent.stop();
  EXPECT_TRUE(parent.ends());
}

TEST(deadlock, of_a_task_that_blocks_the_executor_of_the_holder_is_found) {
  const collector reports;
  mutex m{"kept"};
  loop_thread loop{"the loop"};
  std::stop_source end;
  semaphore both_are_here{0};
  const auto holder = [](mutex& kept, semaphore& go_on) -> task<void> {
    const auto held = co_await kept.async_lock();
    const auto permit = co_await go_on.async_acquire();
  };
  const auto blocker = [](mutex& wanted, std::stop_token stop) -> task<void> {
    (void)wanted.lock_until(deadline::never(), stop);  // blocks its thread
    co_return;
  };
  const started one{loop.where(), holder(m, both_are_here), "the holder"};
  const started two{loop.where(), blocker(m, end.get_token()), "the blocker"};
  ASSERT_TRUE(test::waited_for(m));
  both_are_here.release();
  const watch::report found = reports.first();
  EXPECT_EQ(relations(found), (std::vector{relation::holds, relation::occupies})) << found.text();
  EXPECT_NE(found.sentence.find("blocks the thread of its executor 'the loop'"), std::string::npos) << found.sentence;
  EXPECT_NE(found.advice.find("co_await"), std::string::npos) << found.advice;
  end.request_stop();
  EXPECT_TRUE(one.ends());
  EXPECT_TRUE(two.ends());
  EXPECT_EQ(reports.all().size(), 1U);
}

TEST(deadlock, of_a_pool_all_of_whose_threads_are_blocked_is_found) {
  const collector reports;
  mutex m{"kept"};
  std::stop_source end;
  {
    thread_pool pool{{.threads = 2, .name = "the pool"}};
    semaphore all_are_here{0};
    const auto holder = [](mutex& kept, semaphore& go_on) -> task<void> {
      const auto held = co_await kept.async_lock();
      const auto permit = co_await go_on.async_acquire();
    };
    const started one{pool, holder(m, all_are_here), "the holder"};
    ASSERT_TRUE(test::eventually([&] { return m.holder() != 0; }));
    for (int i = 0; i < 2; ++i) pool.post([&] { (void)m.lock_until(deadline::never(), end.get_token()); });
    ASSERT_TRUE(test::waited_for(m, 2));
    all_are_here.release();
    const watch::report found = reports.first();
    EXPECT_EQ(relations(found), (std::vector{relation::holds, relation::occupies})) << found.text();
    EXPECT_NE(found.sentence.find("one of the threads of its executor 'the pool'"), std::string::npos)
        << found.sentence;
    end.request_stop();
    EXPECT_TRUE(one.ends());
  }
  EXPECT_EQ(reports.all().size(), 1U);
}

TEST(deadlock, of_a_waiter_and_the_job_it_waits_for_is_found) {
  const collector reports;
  mutex m{"kept"};
  std::stop_source end;
  thread_pool pool{{.threads = 1}};
  {
    const std::lock_guard held{m};
    future<void> job = pool.submit([&] { (void)m.lock_until(deadline::never(), end.get_token()); });
    ASSERT_TRUE(test::waited_for(m));  // else this thread would run the job itself
    std::jthread stopper{[&] {
      const watch::report found = reports.first();
      EXPECT_EQ(relations(found), (std::vector{relation::holds, relation::ends})) << found.text();
      end.request_stop();
    }};
    job.get();
  }
  EXPECT_EQ(reports.all().size(), 1U);
}

TEST(deadlock, with_a_deadline_in_it_is_told_with_the_time_when_it_ends) {
  const collector reports;
  mutex left{"left"};
  mutex right{"right"};
  std::stop_source end;
  std::latch both{2};
  std::thread one{[&] { lock_both(left, right, both, end.get_token()); }};
  const deadline until = deadline::after(1h);
  std::thread two{[&] {
    const std::lock_guard held{right};
    both.arrive_and_wait();
    (void)left.lock_until(until, end.get_token());
  }};
  const watch::report found = reports.first();
  EXPECT_EQ(found.until, until.time());
  EXPECT_NE(found.sentence.find("a deadline will break it"), std::string::npos) << found.sentence;
  end.request_stop();
  one.join();
  two.join();
}

TEST(deadlock, is_broken_at_a_call_that_can_say_so_if_the_policy_asks_for_it) {
  const collector reports{watch::policy::break_it};
  mutex left{"left"};
  mutex right{"right"};
  std::latch both{2};
  std::optional<wait_error> said;
  std::thread one{[&] {
    const std::lock_guard held{left};
    both.arrive_and_wait();
    const std::lock_guard wanted{right};  // cannot say no
  }};
  std::thread two{[&] {
    const std::lock_guard held{right};
    both.arrive_and_wait();
    const auto wanted = left.lock_until(deadline::never());
    if (!wanted) said = wanted.error();
  }};
  one.join();
  two.join();
  EXPECT_EQ(said, wait_error::deadlock);
  EXPECT_EQ(reports.all().size(), 1U);
}

TEST(deadlock, is_broken_at_a_task_too) {
  const collector reports{watch::policy::break_it};
  mutex left{"left"};
  mutex right{"right"};
  loop_thread loop;
  std::latch both{2};
  const auto body = [](mutex& first, mutex& second, std::latch& all) -> task<std::optional<wait_error>> {
    const auto held = co_await first.async_lock();
    all.arrive_and_wait();
    const auto wanted = co_await second.async_lock_until(deadline::never());
    if (!wanted) co_return wanted.error();
    co_return std::nullopt;
  };
  started task{loop.where(), body(left, right, both)};
  std::thread thread{[&] {
    const std::lock_guard held{right};
    both.arrive_and_wait();
    const std::lock_guard wanted{left};
  }};
  thread.join();
  ASSERT_TRUE(task.ends());
  EXPECT_EQ(task.value(), wait_error::deadlock);
}

using deadlock_policy_at_its_end = test::misuse;

TEST_F(deadlock_policy_at_its_end, abort_ends_the_program_after_the_report) {
  EXPECT_DEATH(
      {
        watch::settings wanted;
        wanted.on_deadlock = watch::policy::abort;
        watch::configure(wanted);
        mutex left{"left"};
        mutex right{"right"};
        std::latch both{2};
        std::thread one{[&] { lock_both(left, right, both, {}); }};
        std::thread two{[&] { lock_both(right, left, both, {}); }};
        one.join();
        two.join();
      },
      "Deadlock of 2: (.|\n)*a deadlock, as reported above");
}

TEST(watch_settings, what_is_off_reports_nothing) {
  const collector reports;
  watch::settings none = watch::settings::off();
  none.log = false;
  watch::configure(none);
  mutex left{"left"};
  mutex right{"right"};
  std::stop_source end;
  std::latch both{2};
  std::thread one{[&] { lock_both(left, right, both, end.get_token()); }};
  std::thread two{[&] { lock_both(right, left, both, end.get_token()); }};
  ASSERT_TRUE(test::waited_for(left));
  ASSERT_TRUE(test::waited_for(right));
  const deadline a_while = deadline::after(30ms);
  ASSERT_TRUE(test::passed(a_while));
  end.request_stop();
  one.join();
  two.join();
  EXPECT_TRUE(reports.all().empty());
}

// --- what is none ---

TEST(deadlock, is_not_seen_in_a_chain_that_moves) {
  const collector reports;
  mutex a{"a"};
  mutex b{"b"};
  mutex c{"c"};
  std::unique_lock held{a};
  std::thread middle{[&] {
    const std::lock_guard has{b};
    const std::lock_guard wants{a};
  }};
  ASSERT_TRUE(test::waited_for(a));
  std::thread last{[&] {
    const std::lock_guard has{c};
    const std::lock_guard wants{b};
  }};
  ASSERT_TRUE(test::waited_for(b));
  const deadline a_while = deadline::after(30ms);
  ASSERT_TRUE(test::passed(a_while));
  held.unlock();
  middle.join();
  last.join();
  EXPECT_TRUE(reports.all().empty());
}

TEST(deadlock, is_not_seen_where_another_thread_works_in_place_of_the_blocked_one) {
  const collector reports;
  {
    thread_pool pool{{.threads = 1}};
    future<int> outer = pool.submit([&] {
      future<int> inner = pool.submit([] { return 7; });
      return inner.get();  // another thread runs it meanwhile
    });
    EXPECT_EQ(outer.get(), 7);
  }
  EXPECT_TRUE(reports.all().empty());
}

// Two locks taken in contradicting orders, but never at the same time, as a gate keeps them apart; hand over hand; and
// try-locks that let go: thousands of them, with looks all the time.
TEST(deadlock, is_not_seen_in_busy_programs_that_have_none) {
  const collector reports;
  mutex gate{"gate"};
  mutex left{"left"};
  mutex right{"right"};
  const deadline end = deadline::after(300ms);
  const auto gated = [&](mutex& first, mutex& second) {
    while (!end.has_passed()) {
      const std::lock_guard outer{gate};
      const std::lock_guard one{first};
      const std::lock_guard two{second};
    }
  };
  const auto trying = [&](mutex& first, mutex& second) {
    while (!end.has_passed()) {
      const std::lock_guard one{first};
      const std::unique_lock two{second, std::try_to_lock};
    }
  };
  std::vector<std::jthread> threads;
  threads.emplace_back(gated, std::ref(left), std::ref(right));
  threads.emplace_back(gated, std::ref(right), std::ref(left));
  mutex hand_one;
  mutex hand_two;
  threads.emplace_back(trying, std::ref(hand_one), std::ref(hand_two));
  threads.emplace_back(trying, std::ref(hand_two), std::ref(hand_one));
  threads.clear();
  EXPECT_TRUE(reports.all().empty());
}

}  // namespace
}  // namespace heddle
