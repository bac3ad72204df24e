#include <heddle/channel/work_queue.hpp>

#include <gtest/gtest.h>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/stress.hpp>
#include <tests/support/tasks.hpp>

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

namespace {

using namespace heddle;
using namespace std::chrono_literals;
using test::eventually;
using work_queue_misuse = test::misuse;

TEST(work_queue, what_was_put_is_got_once_and_in_order) {
  work_queue<std::unique_ptr<int>> q{bounded(3)};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(q.put(std::make_unique<int>(i)));
  EXPECT_EQ(q.size(), 3U);
  const auto full = q.try_put(std::make_unique<int>(9));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().why, wait_error::timeout);
  EXPECT_EQ(*full.error().value, 9);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(**q.get(), i);
  EXPECT_EQ(q.try_get().error(), wait_error::timeout);
  EXPECT_EQ(q.get(deadline::after(1ms)).error(), wait_error::timeout);
}

TEST(work_queue, join_returns_when_all_is_done) {
  constexpr int items = 200;
  work_queue<int> q{bounded(4)};
  std::atomic<int> done{0};
  std::vector<std::thread> workers;
  for (int w = 0; w < 3; ++w) {
    workers.emplace_back([&] {
      while (const auto item = q.get()) {
        done += *item;
        q.task_done();
      }
    });
  }
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < items; ++i) EXPECT_TRUE(q.put(1));
    EXPECT_TRUE(q.join());
    EXPECT_EQ(done.load(), (round + 1) * items) << "it may be used again after a join";
    EXPECT_EQ(q.unfinished(), 0U);
  }
  q.shutdown();
  for (std::thread& w : workers) w.join();
  EXPECT_TRUE(q.join()) << "nothing is left to do";
}

TEST(work_queue, an_item_that_was_got_is_not_done) {
  work_queue<int> q;
  EXPECT_TRUE(q.put(1));
  EXPECT_TRUE(q.get());
  EXPECT_EQ(q.unfinished(), 1U);
  EXPECT_EQ(q.join(deadline::after(1ms)).error(), wait_error::timeout);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(q.join({}, stop.get_token()).error(), wait_error::stopped);
  q.task_done();
  EXPECT_TRUE(q.join());
}

TEST(work_queue, a_failed_put_is_not_waited_for) {
  work_queue<int> q{bounded(1)};
  EXPECT_TRUE(q.put(1));
  EXPECT_EQ(q.put(2, deadline::after(1ms)).error().why, wait_error::timeout);
  EXPECT_EQ(q.try_put(3).error().why, wait_error::timeout);
  EXPECT_EQ(q.unfinished(), 1U);
  EXPECT_TRUE(q.get());
  q.task_done();
  EXPECT_TRUE(q.join(deadline::after(-1s)));
  q.shutdown();
  EXPECT_EQ(q.put(4).error().why, wait_error::closed);
  EXPECT_EQ(q.unfinished(), 0U);
}

TEST(work_queue, shutdown_lets_what_is_inside_be_got) {
  work_queue<int> q{bounded(2)};
  EXPECT_TRUE(q.put(1));
  EXPECT_TRUE(q.put(2));
  std::thread putter{[&] { EXPECT_EQ(q.put(3).error().why, wait_error::closed); }};
  EXPECT_TRUE(eventually([&] { return q.unfinished() == 3; }));
  q.shutdown();
  EXPECT_TRUE(q.is_shut_down());
  putter.join();
  EXPECT_EQ(q.try_put(4).error().why, wait_error::closed);
  EXPECT_EQ(q.get(), 1);
  EXPECT_EQ(q.try_get(), 2);
  EXPECT_EQ(q.get().error(), wait_error::closed);
  EXPECT_EQ(q.unfinished(), 2U);
  q.task_done();
  q.task_done();
  EXPECT_TRUE(q.join());
}

TEST(work_queue, shutdown_ends_the_waits_of_those_who_get) {
  work_queue<int> q;
  std::vector<std::thread> getters;
  for (int i = 0; i < 3; ++i) {
    getters.emplace_back([&] { EXPECT_EQ(q.get().error(), wait_error::closed); });
  }
  q.shutdown();
  q.shutdown();
  for (std::thread& t : getters) t.join();
}

TEST(work_queue, an_immediate_shutdown_counts_what_it_throws_away_as_done) {
  work_queue<std::shared_ptr<int>> q;
  auto shared = std::make_shared<int>(1);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(q.put(shared));
  EXPECT_TRUE(q.get());
  std::thread joiner{[&] { EXPECT_TRUE(q.join()); }};
  q.shutdown(true);
  EXPECT_EQ(shared.use_count(), 1);
  EXPECT_EQ(q.unfinished(), 1U) << "the one that was got is still to be done";
  EXPECT_EQ(q.get().error(), wait_error::closed);
  q.task_done();
  joiner.join();
}

TEST(work_queue, tasks_put_get_and_join) {
  constexpr int items = 500;
  work_queue<int> q{bounded(2)};
  thread_pool pool{{.threads = 2}};
  std::atomic<int> done{0};
  const auto works = [](work_queue<int>& from, std::atomic<int>& count) -> task<void> {
    while (const auto item = co_await from.async_get()) {
      count += *item;
      from.task_done();
    }
  };
  const auto manages = [](work_queue<int>& to) -> task<void> {
    for (int i = 0; i < items; ++i) EXPECT_TRUE(co_await to.async_put(1));
    EXPECT_TRUE(co_await to.async_join());
    to.shutdown();
    EXPECT_EQ((co_await to.async_put(1)).error().why, wait_error::closed);
  };
  test::started<void> one{pool, works(q, done)};
  test::started<void> other{pool, works(q, done)};
  test::started<void> manager{pool, manages(q)};
  EXPECT_TRUE(manager.ends());
  EXPECT_EQ(done.load(), items);
  EXPECT_TRUE(one.ends());
  EXPECT_TRUE(other.ends());
  EXPECT_EQ(q.unfinished(), 0U);
}

TEST(work_queue, a_stopped_put_of_a_task_is_not_waited_for) {
  work_queue<int> q{bounded(1)};
  EXPECT_TRUE(q.put(1));
  test::manual_executor here;
  const auto puts = [](work_queue<int>& to) -> task<void> { EXPECT_TRUE(co_await to.async_put(2)); };
  test::started<void> putter{here, puts(q)};
  here.run_all();
  EXPECT_EQ(q.unfinished(), 2U);
  putter.stop();
  here.run_all();
  EXPECT_TRUE(putter.was_stopped());
  EXPECT_EQ(q.unfinished(), 1U);
  EXPECT_TRUE(q.get());
  q.task_done();
}

TEST(work_queue, random_operations_do_what_the_model_does) {
  for (unsigned seed = 1; seed <= (sys::under_tsan ? 30 : 300); ++seed) {
    test::dice dice{seed};
    const std::size_t capacity = 1 + dice.below(4);
    work_queue<int> q{bounded(capacity)};
    std::deque<int> inside;
    std::size_t unfinished = 0;
    bool shut = false;
    for (int i = 0; i < 100; ++i) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", step " << i);
      switch (dice.below(dice.below(15) == 0 ? 8 : 6)) {
        case 0:
        case 1: {
          const auto put = q.try_put(i);
          ASSERT_EQ(put.has_value(), !shut && inside.size() < capacity);
          if (!put) ASSERT_EQ(put.error().why, shut ? wait_error::closed : wait_error::timeout);
          if (!put) break;
          inside.push_back(i);
          ++unfinished;
          break;
        }
        case 2:
        case 3: {
          const auto got = q.try_get();
          ASSERT_EQ(got.has_value(), !inside.empty());
          if (!got) ASSERT_EQ(got.error(), shut ? wait_error::closed : wait_error::timeout);
          if (!got) break;
          ASSERT_EQ(*got, inside.front());
          inside.pop_front();
          break;
        }
        case 4:
          if (unfinished > inside.size()) {
            q.task_done();
            --unfinished;
          }
          break;
        case 5: ASSERT_EQ(q.join(deadline::after(-1s)).has_value(), unfinished == 0); break;
        case 6:
          q.shutdown();
          shut = true;
          break;
        default:
          q.shutdown(true);
          shut = true;
          unfinished -= inside.size();
          inside.clear();
      }
      ASSERT_EQ(q.size(), inside.size());
      ASSERT_EQ(q.unfinished(), unfinished);
    }
  }
}

TEST_F(work_queue_misuse, more_done_than_put_is_fatal) {
  EXPECT_DEATH(
      {
        work_queue<int> q;
        (void)q.put(1);
        q.task_done();
        q.task_done();
      },
      "more often than there were items");
}

TEST_F(work_queue_misuse, destroying_what_is_waited_for_is_fatal) {
  EXPECT_DEATH(
      {
        auto* q = new work_queue<int>;
        (void)q->put(1);
        std::thread waiter{[q] { (void)q->join(); }};
        (void)eventually([] { return !test::settled_waits().empty(); });
        delete q;
      },
      "destroyed while");
}

}  // namespace
