#include <heddle/exec/thread_pool.hpp>

#include <gtest/gtest.h>
#include <heddle/park/blocking_region.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/sys/thread.hpp>
#include <heddle/task/run_loop.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/gate.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace heddle;
using namespace std::chrono_literals;
using thread_pool_misuse = test::misuse;
using test::eventually;
using test::gate;

constexpr bool slow = sys::under_tsan;

struct counting_item : work_item {
  std::atomic<int> runs{0};
  std::atomic<int>* total = nullptr;
  counting_item() {
    run = [](work_item* item) noexcept {
      auto* me = static_cast<counting_item*>(item);
      std::atomic<int>* const sum = me->total;
      me->runs.fetch_add(1);
      sum->fetch_add(1);
    };
  }
};

TEST(thread_pool, runs_every_item_once) {
  constexpr int posters = 4;
  constexpr int each = slow ? 20'000 : 100'000;
  std::atomic<int> total{0};
  std::vector<std::vector<counting_item>> items(posters);
  {
    thread_pool pool{{.threads = 3}};
    std::vector<std::thread> threads;
    for (auto& mine : items) {
      mine = std::vector<counting_item>(each);
      threads.emplace_back([&mine, &pool, &total] {
        for (counting_item& item : mine) {
          item.total = &total;
          pool.post(item);
        }
      });
    }
    for (std::thread& t : threads) t.join();
  }
  EXPECT_EQ(total.load(), posters * each);
  for (const auto& mine : items) {
    for (const counting_item& item : mine) ASSERT_EQ(item.runs.load(), 1);
  }
}

TEST(thread_pool, a_job_answers_by_its_future) {
  thread_pool pool{{.threads = 2, .name = "weavers"}};
  EXPECT_EQ(pool.submit([] { return 6 * 7; }).get(), 42);
  EXPECT_EQ(pool.submit([](std::unique_ptr<int> p, int add) { return *p + add; }, std::make_unique<int>(1), 2).get(),
            3);
  EXPECT_THROW(pool.submit([] { throw std::out_of_range{"seven"}; }).get(), std::out_of_range);
  EXPECT_EQ(pool.submit([] { return thread_pool::current()->name(); }).get(), std::string{"weavers"});
  EXPECT_EQ(thread_pool::current(), nullptr);
  const thread_pool_stats stats = pool.stats();
  EXPECT_EQ(stats.waits, 4U);
  EXPECT_GT(stats.total_wait.count(), 0);
  EXPECT_GE(stats.longest_wait, stats.total_wait / 4);
  EXPECT_GE(stats.runs, 1U);
  EXPECT_LE(stats.longest_run, stats.total_run);
}

TEST(thread_pool, workers_are_named_after_it) {
  thread_pool pool{{.threads = 1, .name = "loom"}};
  EXPECT_EQ(pool.submit([] {
                  char name[16] = {};
                  sys::thread_name(name, sizeof name);
                  return std::string{name};
                })
                .get(),
            "loom-0");
}

TEST(thread_pool, captures_are_gone_before_the_answer) {
  thread_pool pool{{.threads = 2}};
  for (int i = 0; i < 1'000; ++i) {
    auto shared = std::make_shared<int>(i);
    auto f = pool.submit([shared, i] {
      if (i % 2 != 0) throw std::runtime_error{"odd"};
      return *shared;
    });
    (void)f.wait_until({});
    ASSERT_EQ(shared.use_count(), 1);
  }
}

TEST(thread_pool, idle_workers_steal) {
  gate held;
  thread_pool pool{{.threads = 2}};
  std::atomic<int> done{0};
  pool.post([&] {
    for (int i = 0; i < 100; ++i) pool.post([&] { done.fetch_add(1); });
    held.pass();  // its own queue is full of work that only the other worker can do
  });
  EXPECT_TRUE(eventually([&] { return done.load() == 100; }));
  EXPECT_GE(pool.stats().stolen, 50U);
  held.open();
}

TEST(thread_pool, sleeps_while_nothing_is_queued) {
  thread_pool pool{{.threads = 4}};
  EXPECT_TRUE(pool.drain_until({}).empty());
  const std::uint64_t before = pool.stats().wakes;
  EXPECT_EQ(pool.stats().sleeping, 4U);
  for (int i = 1; i <= 20; ++i) {
    pool.submit([] {}).get();
    EXPECT_TRUE(pool.drain_until({}).empty());
    EXPECT_EQ(pool.stats().wakes, before + static_cast<std::uint64_t>(i)) << "one job wakes one worker";
  }
}

// What the kernel says of the threads of this process whose name begins so: how often they have been put on a processor,
// and whether all are asleep.
struct scheduled {
  long times = 0;
  int threads = 0;
  bool asleep = true;
};
scheduled what_is_scheduled(const std::string& name) {
  scheduled sum;
  for (const auto& each : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::ifstream status{each.path() / "status"};
    bool named = false;
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("Name:\t" + name)) named = true;
      if (!named) continue;
      if (line.starts_with("State:\t") && line[7] != 'S') sum.asleep = false;
      if (const auto colon = line.find("ctxt_switches:\t"); colon != std::string::npos) {
        sum.times += std::stol(line.substr(colon + 15));
      }
    }
    if (named) ++sum.threads;
  }
  return sum;
}

TEST(thread_pool, an_idle_pool_is_never_scheduled) {
  thread_pool idle{{.threads = 3, .name = "loiter"}};
  std::atomic<int> ran{0};
  for (int i = 0; i < 100; ++i) idle.post([&] { ran.fetch_add(1); });
  EXPECT_TRUE(idle.drain_until({}).empty());
  ASSERT_TRUE(eventually([] { return what_is_scheduled("loiter").asleep; }));
  const scheduled before = what_is_scheduled("loiter");
  EXPECT_EQ(before.threads, 3);
  thread_pool busy{{.threads = 2}};  // time passes
  for (int i = 0; i < (slow ? 300 : 3'000); ++i) busy.submit([] {}).get();
  EXPECT_EQ(what_is_scheduled("loiter").times, before.times);
}

// One item at a time, so that the workers go to sleep again and again; and bursts, so that they wake each other.
TEST(thread_pool, no_wake_up_is_lost) {
  thread_pool pool{{.threads = 3}};
  constexpr int rounds = slow ? 5'000 : 30'000;
  for (int i = 0; i < rounds; ++i) {
    std::atomic<int> done{0};
    const int burst = i % 5;
    for (int k = 0; k < burst; ++k) {
      pool.post([&] {
        pool.post([&] { done.fetch_add(1); });
        done.fetch_add(1);
      });
    }
    while (done.load() != 2 * burst) std::this_thread::yield();
  }
}

// The item comes just when the only worker goes to sleep: after the last one has run, and a moment more each time.
TEST(thread_pool, an_item_that_comes_as_the_worker_falls_asleep_is_run) {
  thread_pool pool{{.threads = 1}};
  constexpr int rounds = slow ? 20'000 : 100'000;
  std::atomic<int> total{0};
  counting_item item;
  item.total = &total;
  for (int i = 0; i < rounds; ++i) {
    pool.post(item);
    const auto has_run = [&] { return total.load() == i + 1; };
    for (int k = 0; k < 1'000 && !has_run(); ++k) sys::spin_pause();
    ASSERT_TRUE(eventually(has_run)) << "stranded in round " << i;
    for (int k = 0; k < i % 64; ++k) sys::spin_pause();
  }
}

// The second item comes while the first one's worker still searches, so only that worker can wake the other.
TEST(thread_pool, two_items_that_wait_for_each_other_meet) {
  constexpr int rounds = slow ? 500 : 5'000;
  for (int i = 0; i < rounds; ++i) {
    std::atomic<int> here{0};
    const auto meet = [&here] {
      here.fetch_add(1);
      EXPECT_TRUE(eventually([&] { return here.load() == 2; }));
    };
    thread_pool pool{{.threads = 2}};
    EXPECT_TRUE(pool.drain_until({}).empty());
    pool.post(meet);
    pool.post(meet);
    EXPECT_TRUE(pool.drain_until({}).empty());
    ASSERT_FALSE(HasFailure());
  }
}

int sum_by_halves(thread_pool& pool, int from, int to) {
  if (to - from == 1) return from;
  const int middle = from + (to - from) / 2;
  auto left = pool.submit([&, from, middle] { return sum_by_halves(pool, from, middle); });
  const int right = sum_by_halves(pool, middle, to);
  return left.get() + right;
}

TEST(thread_pool, jobs_wait_for_jobs_of_their_own) {
  for (const unsigned threads : {1U, 2U, 4U}) {
    thread_pool pool{{.threads = threads, .spare_threads = 1024}};
    EXPECT_EQ(pool.submit([&] { return sum_by_halves(pool, 0, 4'096); }).get(), 4'096 * 4'095 / 2);
  }
}

TEST(thread_pool, a_job_that_is_waited_for_in_a_worker_runs_there) {
  thread_pool pool{{.threads = 1, .spare_threads = 0}};
  const auto same = pool.submit([&] {
                          const auto me = std::this_thread::get_id();
                          return pool.submit([me] { return std::this_thread::get_id() == me; }).get();
                        })
                        .get();
  EXPECT_TRUE(same);
}

TEST(thread_pool, a_blocked_worker_is_replaced) {
  thread_pool pool{{.threads = 2}};
  promise<int> p[2];
  std::atomic<int> got{0};
  for (promise<int>& each : p) {
    pool.post([&got, f = each.get_future()]() mutable { got.fetch_add(f.get()); });
  }
  EXPECT_TRUE(eventually([&] { return pool.stats().blocked == 2; }));
  EXPECT_EQ(pool.stats().threads, 2U) << "nothing is queued, so nobody is replaced";
  pool.submit([] {}).get();
  EXPECT_EQ(pool.stats().threads, 3U);
  pool.submit([&] {
        for (promise<int>& each : p) each.set_value(1);
      })
      .get();
  EXPECT_TRUE(eventually([&] { return got.load() == 2; }));
  EXPECT_TRUE(pool.drain_until({}).empty());
}

TEST(thread_pool, blocking_while_work_is_queued_brings_in_another) {
  gate held;
  thread_pool pool{{.threads = 1}};
  promise<void> p;
  auto blocked = pool.submit([&, f = p.get_future()]() mutable {
    held.pass();
    f.get();
  });
  EXPECT_TRUE(held.entered_by(1));
  auto behind = pool.submit([&] { p.set_value(); });
  held.open();
  blocked.get();
  behind.get();
}

TEST(thread_pool, no_more_than_its_threads_work_once_the_blocked_are_back) {
  thread_pool pool{{.threads = 2}};
  for (int round = 0; round < 20; ++round) {
    std::vector<promise<void>> p(6);
    for (auto& each : p) pool.post([f = each.get_future()]() mutable { f.get(); });
    EXPECT_TRUE(eventually([&] { return pool.stats().blocked == 6; }));
    for (auto& each : p) each.set_value();
    EXPECT_TRUE(pool.drain_until({}).empty());
    std::atomic<int> now{0};
    std::atomic<int> most{0};
    for (int i = 0; i < 200; ++i) {
      pool.post([&] {
        const int active = now.fetch_add(1) + 1;
        int seen = most.load();
        while (active > seen && !most.compare_exchange_weak(seen, active)) {
        }
        std::this_thread::yield();
        now.fetch_sub(1);
      });
    }
    EXPECT_TRUE(pool.drain_until({}).empty());
    EXPECT_LE(most.load(), 2);
  }
  EXPECT_LE(pool.stats().started, 8U);
}

job_refused::reason refusal_of(future<void>& f) {
  try {
    f.get();
  } catch (const job_refused& refused) {
    return refused.why();
  }
  throw std::logic_error{"the job was not refused"};
}

// --- the end ---

TEST(thread_pool, close_refuses_what_comes_later) {
  gate held;
  thread_pool pool{{.threads = 1}};
  auto begun = pool.submit([&] { held.pass(); });
  ASSERT_TRUE(held.entered_by(1));
  auto queued = pool.submit([] { return 1; });
  pool.close();
  auto late = pool.submit([] {});
  EXPECT_TRUE(late.is_ready());
  EXPECT_EQ(refusal_of(late), job_refused::reason::closed);
  std::atomic<bool> posted{false};
  pool.post([&] { posted = true; });
  held.open();
  begun.get();
  EXPECT_EQ(queued.get(), 1);
  EXPECT_TRUE(pool.drain_until({}).empty());
  EXPECT_TRUE(posted.load());
}

// Each of many submitters gets either its result or the refusal, whenever the pool is closed.
TEST(thread_pool, closing_races_with_submitting_and_every_future_is_answered) {
  for (int round = 0; round < (slow ? 10 : 50); ++round) {
    thread_pool pool{{.threads = 2}};
    std::atomic<int> ran{0};
    std::atomic<int> answered{0};
    std::atomic<int> refused{0};
    std::vector<std::thread> threads;
    threads.reserve(3);
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 50; ++i) {
          auto f = pool.submit([&] { ran.fetch_add(1); });
          try {
            f.get();
            answered.fetch_add(1);
          } catch (const job_refused&) {
            refused.fetch_add(1);
          }
        }
      });
    }
    pool.post([&] { pool.close(); });
    for (std::thread& t : threads) t.join();
    EXPECT_EQ(answered.load() + refused.load(), 150);
    EXPECT_EQ(answered.load(), ran.load());
  }
}

TEST(thread_pool, whatever_is_thrown_is_carried) {
  thread_pool pool{{.threads = 1}};
  EXPECT_THROW(pool.submit([] { throw 0; }).get(), int);
  EXPECT_THROW((void)pool.submit([]() -> int { throw false; }).get(), bool);
  struct empty {};
  EXPECT_THROW(pool.submit([] { throw empty{}; }).get(), empty);
}

TEST(thread_pool, who_waits_for_room_is_let_in_when_the_pool_is_abandoned) {
  gate held;
  thread_pool pool{{.threads = 1, .queue_capacity = 1}};
  pool.post([&] { held.pass(); });
  ASSERT_TRUE(held.entered_by(1));
  auto queued = pool.submit([] {});
  future<void> late;
  std::thread submitter{[&] { late = pool.submit([] {}); }};
  EXPECT_TRUE(eventually([&] { return pool.stats().waiting == 1; }));
  pool.abandon();
  held.open();
  submitter.join();
  EXPECT_EQ(refusal_of(queued), job_refused::reason::abandoned);
  EXPECT_EQ(refusal_of(late), job_refused::reason::abandoned);
}

TEST(thread_pool, a_worker_may_close_its_pool) {
  thread_pool pool{{.threads = 2}};
  auto refused = pool.submit([&] {
                       pool.close();
                       auto late = pool.submit([] {});
                       return refusal_of(late);
                     })
                     .get();
  EXPECT_EQ(refused, job_refused::reason::closed);
  EXPECT_TRUE(pool.drain_until({}).empty());
}

TEST(thread_pool, the_destructor_runs_what_is_queued) {
  std::atomic<int> ran{0};
  {
    thread_pool pool{{.threads = 2}};
    for (int i = 0; i < 1'000; ++i) {
      pool.post([&] {
        ran.fetch_add(1);
        pool.post([&] { ran.fetch_add(1); });
      });
    }
  }
  EXPECT_EQ(ran.load(), 2'000);
}

TEST(thread_pool, may_be_made_and_destroyed_at_once) {
  for (int i = 0; i < 200; ++i) {
    const thread_pool pool{{.threads = 3}};
  }
}

TEST(thread_pool, may_be_destroyed_as_soon_as_the_last_item_has_run) {
  for (int i = 0; i < (slow ? 500 : 3'000); ++i) {
    auto pool = std::make_unique<thread_pool>(thread_pool::options{.threads = 2});
    promise<void> p;
    auto f = p.get_future();
    std::thread poster{[&p, &where = *pool] { where.post([&p] { p.set_value(); }); }};
    f.get();
    pool.reset();  // the poster may still be on its way out of post()
    poster.join();
  }
}

// A thread that has ended leaves its place to the next; many at once find room, too.
TEST(thread_pool, many_threads_may_post_one_after_the_other_and_at_once) {
  std::atomic<int> ran{0};
  {
    thread_pool pool{{.threads = 2}};
    for (int i = 0; i < 50; ++i) std::thread{[&] { pool.post([&] { ran.fetch_add(1); }); }}.join();
    std::vector<std::thread> threads;
    for (int i = 0; i < 40; ++i) threads.emplace_back([&] { pool.post([&] { ran.fetch_add(1); }); });
    for (std::thread& t : threads) t.join();
    std::thread{[&] {  // more pools than a thread remembers
      for (int i = 0; i < 10; ++i) {
        thread_pool other{{.threads = 1}};
        other.post([&] { ran.fetch_add(1); });
        pool.post([&] { ran.fetch_add(1); });
      }
    }}
        .join();
  }
  EXPECT_EQ(ran.load(), 110);
}

TEST(thread_pool, every_future_gets_an_answer) {
  std::vector<future<int>> answers;
  {
    gate held;
    thread_pool pool{{.threads = 2}};
    for (int i = 0; i < 2; ++i) pool.post([&] { held.pass(); });
    EXPECT_TRUE(held.entered_by(2));
    for (int i = 0; i < 100; ++i) answers.push_back(pool.submit([i] { return i; }));
    pool.abandon();
    answers.push_back(pool.submit([] { return 1; }));
    held.open();
  }
  for (auto& f : answers) {
    EXPECT_TRUE(f.is_ready());
    EXPECT_THROW((void)f.get(), job_refused);
  }
}

TEST(thread_pool, abandon_answers_what_has_not_begun) {
  gate held;
  thread_pool pool{{.threads = 1}};
  auto begun = pool.submit([&] { held.pass(); });
  ASSERT_TRUE(held.entered_by(1));
  auto queued = pool.submit([] {});
  std::atomic<bool> called{false};
  pool.post([&] { called = true; });
  std::atomic<int> total{0};
  counting_item item;
  item.total = &total;
  pool.post(item);
  pool.abandon();
  held.open();
  begun.get();
  EXPECT_EQ(refusal_of(queued), job_refused::reason::abandoned);
  EXPECT_TRUE(eventually([&] { return total.load() == 1; })) << "posted items still run";
  EXPECT_TRUE(pool.drain_until({}).empty());
  EXPECT_FALSE(called.load());
}

TEST(thread_pool, drain_waits_for_what_runs) {
  gate held;
  thread_pool pool{{.threads = 1}};
  std::atomic<bool> ended{false};
  pool.post([&] {
    held.pass();
    ended = true;
  });
  ASSERT_TRUE(held.entered_by(1));
  std::thread opens{[&] {
    EXPECT_TRUE(test::waited_for(pool));
    held.open();
  }};
  EXPECT_TRUE(pool.drain_until({}).empty());
  EXPECT_TRUE(ended.load());
  opens.join();
}

TEST(thread_pool, drain_says_what_is_left) {
  gate held;
  thread_pool pool{{.threads = 1}};
  pool.post([&] { held.pass(); });
  ASSERT_TRUE(held.entered_by(1));
  for (int i = 0; i < 3; ++i) pool.post([] {});
  const thread_pool_rest left = pool.drain_until(deadline::after(1ms));
  EXPECT_EQ(left.queued, 3U);
  EXPECT_EQ(left.running, 1U);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(pool.drain_until({}, stop.get_token()).empty());
  held.open();
  EXPECT_TRUE(pool.drain_until({}).empty());
}

TEST(thread_pool, what_a_posted_function_throws_is_reported) {
  std::atomic<int> told{0};
  thread_pool pool{{.threads = 1, .on_exception = [&](std::exception_ptr e) {
                      told.fetch_add(1);
                      std::rethrow_exception(std::move(e));  // a handler that throws ends nothing, either
                    }}};
  testing::internal::CaptureStderr();
  pool.post([] { throw std::runtime_error{"a thread snapped"}; });
  EXPECT_TRUE(pool.drain_until({}).empty());
  EXPECT_EQ(told.load(), 1);
  EXPECT_EQ(pool.stats().uncaught, 1U);
  thread_pool silent{{.threads = 1, .name = "looms"}};
  silent.post([] { throw std::runtime_error{"a shuttle flew"}; });
  silent.post([] { throw 7; });
  EXPECT_TRUE(silent.drain_until({}).empty());
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("pool looms: a shuttle flew"), std::string::npos) << log;
  EXPECT_EQ(silent.stats().uncaught, 2U);
}

// --- tasks ---

struct counting_observer final : blocking_observer {
  int before = 0;
  int after = 0;
  void before_blocking() noexcept override { ++before; }
  void after_blocking() noexcept override { ++after; }
};

TEST(blocking_region, only_the_outermost_is_told) {
  counting_observer told;
  blocking_observer::watch_this_thread(&told);
  {
    const blocking_region outer;
    EXPECT_EQ(told.before, 1);
    {
      const blocking_region inner;
      EXPECT_EQ(told.before, 1);
    }
    EXPECT_EQ(told.after, 0);
  }
  EXPECT_EQ(told.after, 1);
  blocking_observer::watch_this_thread(nullptr);
  const blocking_region alone;
  EXPECT_EQ(told.before, 1);
}

// --- misuse ---

TEST_F(thread_pool_misuse, a_worker_that_waits_for_idleness_is_fatal) {
  EXPECT_DEATH(
      {
        thread_pool pool{{.threads = 1}};
        pool.submit([&] { (void)pool.drain_until({}); }).get();
      },
      "a worker of a thread_pool waits for its own pool");
}

TEST_F(thread_pool_misuse, a_worker_that_destroys_its_pool_is_fatal) {
  EXPECT_DEATH(
      {
        auto* pool = new thread_pool{{.threads = 1}};
        pool->submit([pool] { delete pool; }).get();
      },
      "destroyed by one of its own workers");
}

TEST_F(thread_pool_misuse, a_queue_without_room_is_fatal) {
  EXPECT_DEATH(thread_pool({.threads = 1, .queue_capacity = 0}), "queue_capacity");
}

}  // namespace
