#include <gtest/gtest.h>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sys/compiler.hpp>
#include <tests/support/gate.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace heddle;
using namespace std::chrono_literals;
using test::eventually;
using test::gate;

constexpr bool slow = sys::under_tsan;

TEST(thread_pool, a_full_queue_blocks) {
  gate held;
  thread_pool pool{{.threads = 1, .queue_capacity = 2}};
  pool.post([&] { held.pass(); });
  ASSERT_TRUE(held.entered_by(1));
  std::vector<int> order;
  std::vector<future<void>> answers;
  answers.reserve(2);
  for (int i = 0; i < 2; ++i) answers.push_back(pool.submit([&order, i] { order.push_back(i); }));
  std::atomic<bool> through{false};
  std::thread third{[&] {
    auto f = pool.submit([&order] { order.push_back(2); });
    through = true;
    f.get();
  }};
  EXPECT_TRUE(eventually([&] { return pool.stats().waiting == 1; }));
  EXPECT_FALSE(through.load());
  EXPECT_EQ(pool.stats().queued, 2U);
  held.open();
  third.join();
  for (auto& f : answers) f.get();
  EXPECT_EQ(order, (std::vector{0, 1, 2}));
}

TEST(thread_pool, waiting_for_room_ends_by_deadline_and_stop) {
  gate held;
  thread_pool pool{{.threads = 1, .queue_capacity = 1}};
  pool.post([&] { held.pass(); });
  ASSERT_TRUE(held.entered_by(1));
  auto queued = pool.submit([] {});
  auto shared = std::make_shared<int>(0);
  std::atomic<bool> called{false};
  const auto job = [&called, shared] { called = true; };
  EXPECT_EQ(pool.submit_until(deadline::after(1ms), {}, job).error(), wait_error::timeout);
  EXPECT_EQ(pool.submit_until(deadline::after(-1s), {}, job).error(), wait_error::timeout);
  std::stop_source stop;
  std::thread stopper{[&] {
    EXPECT_TRUE(eventually([&] { return pool.stats().waiting == 1; }));
    stop.request_stop();
  }};
  EXPECT_EQ(pool.submit_until({}, stop.get_token(), job).error(), wait_error::stopped);
  stopper.join();
  EXPECT_EQ(pool.stats().waiting, 0U);
  EXPECT_EQ(shared.use_count(), 2) << "a job that was not taken is destroyed";
  held.open();
  queued.get();
  EXPECT_TRUE(pool.drain_until({}).empty());
  EXPECT_FALSE(called.load());
}

TEST(thread_pool, a_full_queue_lets_the_caller_run) {
  gate held;
  thread_pool pool{{.threads = 1, .queue_capacity = 1, .on_full = when_full::caller_runs}};
  pool.post([&] { held.pass(); });
  ASSERT_TRUE(held.entered_by(1));
  auto queued = pool.submit([] {});
  EXPECT_EQ(pool.submit([] { return std::this_thread::get_id(); }).get(), std::this_thread::get_id());
  EXPECT_EQ(pool.stats().caller_ran, 1U);
  held.open();
  queued.get();
}

job_refused::reason refusal_of(future<void>& f) {
  try {
    f.get();
  } catch (const job_refused& refused) {
    return refused.why();
  }
  throw std::logic_error{"the job was not refused"};
}

TEST(thread_pool, a_full_queue_discards_the_oldest) {
  gate held;
  thread_pool pool{{.threads = 1, .queue_capacity = 2, .on_full = when_full::discard_oldest}};
  pool.post([&] { held.pass(); });
  ASSERT_TRUE(held.entered_by(1));
  std::vector<future<void>> f;
  f.reserve(3);
  for (int i = 0; i < 3; ++i) f.push_back(pool.submit([] {}));
  EXPECT_EQ(refusal_of(f[0]), job_refused::reason::discarded);
  EXPECT_FALSE(f[1].is_ready());
  held.open();
  f[1].get();
  f[2].get();
  EXPECT_EQ(pool.stats().discarded, 1U);
}

TEST(thread_pool, a_full_queue_rejects) {
  gate held;
  thread_pool pool{{.threads = 1, .queue_capacity = 1, .on_full = when_full::reject}};
  pool.post([&] { held.pass(); });
  ASSERT_TRUE(held.entered_by(1));
  std::vector<future<void>> f;
  f.reserve(3);
  for (int i = 0; i < 2; ++i) f.push_back(pool.submit([] {}));
  EXPECT_EQ(refusal_of(f[1]), job_refused::reason::full);
  held.open();
  f[0].get();
  EXPECT_EQ(pool.stats().rejected, 1U);
}

// Submitters that block, give up, are stopped; a small queue; every job that was taken runs once, no other.
TEST(thread_pool, a_small_queue_keeps_its_promises_under_load) {
  thread_pool pool{{.threads = 2, .queue_capacity = 3}};
  constexpr int submitters = 4;
  constexpr int each = slow ? 2'000 : 20'000;
  std::atomic<int> ran{0};
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  threads.reserve(submitters);
  for (int t = 0; t < submitters; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < each; ++i) {
        const deadline until = i % 3 == 0 ? deadline::after(std::chrono::nanoseconds{i % 20'000}) : deadline::never();
        if (pool.submit_until(until, {}, [&] { ran.fetch_add(1); })) taken.fetch_add(1);
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_TRUE(pool.drain_until({}).empty());
  EXPECT_EQ(ran.load(), taken.load());
  EXPECT_GE(taken.load(), submitters * each * 2 / 3);
}

TEST(thread_pool, a_worker_that_waits_for_room_makes_it) {
  thread_pool pool{{.threads = 1, .queue_capacity = 2, .spare_threads = 0}};
  std::atomic<int> ran{0};
  pool.submit([&] {
        for (int i = 0; i < 100; ++i) {
          (void)pool.submit([&] {
            if (ran.fetch_add(1) % 10 == 0) (void)pool.submit([&] { ran.fetch_add(1); });
          });
        }
      })
      .get();
  EXPECT_TRUE(pool.drain_until({}).empty());
  EXPECT_GE(ran.load(), 105);
  EXPECT_EQ(pool.stats().started, 1U);
}

TEST(thread_pool, a_worker_that_holds_a_lock_waits_for_room) {
  thread_pool pool{{.threads = 1, .queue_capacity = 1}};
  mutex m;
  int under_lock = 0;
  pool.submit([&] {
        const std::lock_guard lock{m};
        for (int i = 0; i < 3; ++i) (void)pool.submit([] {});
        ++under_lock;
        (void)pool.submit([&] {
          const std::lock_guard inner{m};  // would never come if the holder ran it
          ++under_lock;
        });
      })
      .get();
  EXPECT_TRUE(pool.drain_until({}).empty());
  EXPECT_EQ(under_lock, 2);
}

// --- priorities ---

TEST(thread_pool, urgent_jobs_come_first) {
  gate held;
  thread_pool pool{{.threads = 1}};
  pool.post([&] { held.pass(); });
  ASSERT_TRUE(held.entered_by(1));
  std::string order;
  std::vector<future<void>> answers;
  for (const auto& [rank, letter] : {std::pair{priority::low, 'l'}, {priority::normal, 'n'}, {priority::high, 'h'}}) {
    answers.push_back(pool.submit(rank, [&order, mine = letter] { order += mine; }));
  }
  held.open();
  for (auto& f : answers) f.get();
  EXPECT_EQ(order.find('h'), 0U) << order;
  EXPECT_EQ(order.size(), 3U);
}

// A job with low priority among high ones that never end: each queues the next two. Turns are counted, not time.
TEST(thread_pool, a_low_job_is_passed_over_a_bounded_number_of_times) {
  thread_pool pool{{.threads = 1, .queue_capacity = 10'000}};
  std::atomic<int> high_ran{0};
  int before_low = -1;
  std::function<void()> again = [&] {
    if (high_ran.fetch_add(1) >= 2'000) return;
    (void)pool.submit(priority::high, again);
    if (high_ran.load() % 2 == 0) (void)pool.submit(priority::high, again);
  };
  pool.submit([&] {
        (void)pool.submit(priority::low, [&] { before_low = high_ran.load(); });
        for (int i = 0; i < 10; ++i) (void)pool.submit(priority::high, again);
      })
      .get();
  EXPECT_TRUE(eventually([&] { return high_ran.load() > 2'000; }));
  EXPECT_TRUE(pool.drain_until({}).empty());
  EXPECT_GE(before_low, 10) << "it does wait";
  EXPECT_LE(before_low, 256);
}

// Items of its own do not keep a worker from the others' jobs for ever.
TEST(thread_pool, own_items_do_not_starve_what_others_queue) {
  thread_pool pool{{.threads = 1}};
  gate held;
  std::atomic<bool> over{false};
  std::atomic<int> own{0};
  std::function<void()> again = [&] {
    if (over.load()) return;
    own.fetch_add(1);
    pool.post(again);
    pool.post([] {});
  };
  pool.post([&] {
    again();
    held.pass();
  });
  ASSERT_TRUE(held.entered_by(1));
  int before_low = -1;
  int before_posted = -1;
  auto low = pool.submit(priority::low, [&] { before_low = own.load(); });
  auto posted = pool.submit([&] { before_posted = own.load(); });
  held.open();
  low.get();
  posted.get();
  over = true;
  EXPECT_TRUE(pool.drain_until({}).empty());
  EXPECT_LE(before_low, 130);
  EXPECT_LE(before_posted, 130);
}

}  // namespace
