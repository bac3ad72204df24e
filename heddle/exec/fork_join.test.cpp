#include <gtest/gtest.h>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/gate.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <variant>
#include <vector>

namespace {

using namespace heddle;
using namespace std::chrono_literals;
using test::eventually;
using test::gate;

constexpr bool slow = sys::under_tsan;

long fib(thread_pool& pool, int n) {
  if (n < 2) return n;
  const auto [a, b] = pool.fork_join([&] { return fib(pool, n - 1); }, [&] { return fib(pool, n - 2); });
  return a + b;
}

TEST(fork_join, both_halves_run_once_and_give_their_results) {
  thread_pool pool{{.threads = 2}};
  const auto values = [&] {
    const auto [number, text] =
        pool.fork_join([] { return std::make_unique<int>(7); }, [] { return std::string{"warp"}; });
    return *number == 7 && text == "warp";
  };
  EXPECT_TRUE(values());
  EXPECT_TRUE(pool.submit(values).get());
  int f = 0;
  std::atomic<int> g{0};
  static_assert(std::is_void_v<decltype(pool.fork_join([] {}, [] {}))>);
  pool.fork_join([&] { ++f; }, [&] { g.fetch_add(1); });
  EXPECT_EQ(f, 1);
  EXPECT_EQ(g.load(), 1);
  const std::pair<std::monostate, int> mixed = pool.fork_join([] {}, [] { return 5; });
  EXPECT_EQ(mixed.second, 5);
}

TEST(fork_join, divides_and_conquers) {
  for (const unsigned threads : {1U, 2U, 4U}) {
    thread_pool pool{{.threads = threads}};
    EXPECT_EQ(fib(pool, slow ? 15 : 21), slow ? 610 : 10'946);
  }
}

TEST(fork_join, another_worker_takes_the_other_half) {
  thread_pool pool{{.threads = 2}};
  std::atomic<bool> taken{false};
  pool.submit([&] {
        std::thread::id there;
        pool.fork_join([&] { EXPECT_TRUE(eventually([&] { return taken.load(); })); },
                       [&] {
                         there = std::this_thread::get_id();
                         taken = true;
                       });
        EXPECT_NE(there, std::this_thread::get_id());
      })
      .get();
  EXPECT_GE(pool.stats().stolen, 1U);
}

// Each round the other worker sleeps, or is just about to: the fork must get it to work.
TEST(fork_join, a_fork_wakes_who_sleeps) {
  constexpr int rounds = slow ? 300 : 3'000;
  thread_pool pool{{.threads = 2}};
  pool.submit([&] {
        for (int i = 0; i < rounds; ++i) {
          std::atomic<bool> taken{false};
          bool met = false;
          pool.fork_join([&] { met = eventually([&] { return taken.load(); }); }, [&] { taken = true; });
          ASSERT_TRUE(met) << "nobody came in round " << i;
          for (int k = 0; k < i % 512; ++k) sys::spin_pause();
        }
      })
      .get();
}

TEST(fork_join, exceptions_are_thrown_after_both_have_ended) {
  thread_pool pool{{.threads = 2}};
  const auto fails = [](const char* text) { return [text] { throw std::runtime_error{text}; }; };
  const auto what_of = [&](const std::function<void()>& f, const std::function<void()>& g) -> std::string {
    try {
      pool.fork_join(f, g);
    } catch (const std::runtime_error& e) {
      return e.what();
    }
    return "nothing";
  };
  const auto check = [&] {
    std::atomic<bool> ran{false};
    EXPECT_EQ(what_of(fails("f"), [&] { ran = true; }), "f");
    EXPECT_TRUE(ran.load());
    EXPECT_EQ(what_of([] {}, fails("g")), "g");
    EXPECT_EQ(what_of(fails("f"), fails("g")), "f");
    // The other half is taken before the first one throws.
    std::atomic<bool> begun{false};
    std::atomic<bool> ended{false};
    gate held;
    EXPECT_EQ(what_of(
                  [&] {
                    EXPECT_TRUE(held.entered_by(1));
                    held.open();
                    throw std::runtime_error{"f"};
                  },
                  [&] {
                    held.pass();
                    ended = true;
                  }),
              "f");
    EXPECT_TRUE(ended.load());
    EXPECT_EQ(what_of([&] { EXPECT_TRUE(eventually([&] { return begun.load(); })); },
                      [&] {
                        begun = true;
                        throw std::runtime_error{"g"};
                      }),
              "g");
  };
  check();
  pool.submit(check).get();
}

// The other worker is inside `g` and waits for what `g` itself has forked: only who waits for `g` can do it.
TEST(fork_join, who_waits_works_on_what_it_waits_for) {
  thread_pool pool{{.threads = 2, .spare_threads = 0}};
  // Whoever waits looks for a short time only, in which the other may have lost its processor: so it may be tried again.
  const auto waiter_works = [&pool] {
    gate taken;
    std::atomic<bool> part_done{false};
    std::thread::id waiter;
    std::thread::id worked_on_it;
    pool.submit([&] {
          waiter = std::this_thread::get_id();
          pool.fork_join([&] { EXPECT_TRUE(taken.entered_by(1)); },
                         [&] {
                           taken.open();
                           taken.pass();
                           const auto enough = deadline::after(50ms);
                           pool.fork_join(
                               [&] { EXPECT_TRUE(eventually([&] { return part_done || enough.has_passed(); })); },
                               [&] {
                                 worked_on_it = std::this_thread::get_id();
                                 part_done = true;
                               });
                         });
        })
        .get();
    return worked_on_it == waiter;
  };
  int tries = 1;
  while (tries < 100 && !waiter_works()) ++tries;
  EXPECT_LT(tries, 100);
}

TEST(fork_join, who_waits_is_replaced) {
  thread_pool pool{{.threads = 2}};
  gate taken;
  taken.open();
  std::atomic<bool> posted_ran{false};
  pool.submit([&] {
        pool.fork_join(
            [&] {
              EXPECT_TRUE(taken.entered_by(1));
              pool.post([&] { posted_ran = true; });  // into the queue of the worker that waits next
            },
            [&] {
              taken.pass();
              EXPECT_TRUE(eventually([&] { return posted_ran.load(); }));
            });
      })
      .get();
  EXPECT_TRUE(posted_ran.load());
}

int nest(thread_pool& pool, int depth) {
  if (depth == 0) return 0;
  const auto [below, one] = pool.fork_join([&] { return nest(pool, depth - 1); }, [] { return 1; });
  return below + one;
}

TEST(fork_join, may_nest_deeper_than_a_lane_has_room) {
  thread_pool pool{{.threads = 2}};
  constexpr int depth = 3'000;
  static_assert(depth > 2 * static_cast<int>(pools::fork_lane::room));
  EXPECT_EQ(nest(pool, depth), depth);
}

int odd_tree(thread_pool& pool, unsigned seed, int depth, std::atomic<int>& thrown) {
  seed = seed * 1'664'525U + 1'013'904'223U;
  if (depth == 0 || seed >> 29 == 0) {
    if (seed >> 24 == 77) {
      thrown.fetch_add(1);
      throw std::runtime_error{"a thread snapped"};
    }
    return 1;
  }
  try {
    const auto [a, b] = pool.fork_join([&, seed] { return odd_tree(pool, seed ^ 0x5a5a5a5aU, depth - 1, thrown); },
                                       [&, seed] { return odd_tree(pool, seed, depth - 1, thrown); });
    return a + b;
  } catch (const std::runtime_error&) {
    return 0;
  }
}

TEST(fork_join, uneven_trees_come_out_the_same_on_any_number_of_threads) {
  std::atomic<int> thrown{0};
  int expected = -1;
  int expected_thrown = -1;
  for (const unsigned threads : {1U, 2U, 3U, 5U}) {
    thread_pool pool{{.threads = threads}};
    int sum = 0;
    thrown = 0;
    for (unsigned seed = 0; seed < (slow ? 20U : 200U); ++seed) sum += odd_tree(pool, seed, 14, thrown);
    if (expected < 0) expected = sum;
    if (expected_thrown < 0) expected_thrown = thrown.load();
    EXPECT_EQ(sum, expected);
    EXPECT_EQ(thrown.load(), expected_thrown);
  }
  EXPECT_GT(expected, 0);
}

TEST(fork_join, several_outside_threads_may_use_one_pool) {
  thread_pool pool{{.threads = 2}};
  std::vector<std::thread> threads;
  std::atomic<long> sum{0};
  threads.reserve(3);
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 20; ++k) sum.fetch_add(fib(pool, 10));
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(sum.load(), 3 * 20 * 55);
}

task<long> fib_in_a_task(thread_pool& pool) {
  co_await this_task::resume_on(pool);
  const long here = fib(pool, 12);
  co_await this_task::yield();
  co_return here + fib(pool, 12);
}

TEST(fork_join, a_task_on_a_worker_may_use_it) {
  thread_pool pool{{.threads = 2}};
  EXPECT_EQ(sync_wait(fib_in_a_task(pool)), 288);
}

TEST(fork_join, who_holds_a_lock_does_not_work_on_anything_meanwhile) {
  thread_pool pool{{.threads = 2}};
  mutex m;
  gate taken;
  taken.open();
  pool.submit([&] {
        std::thread::id there;
        {
          const std::lock_guard lock{m};
          pool.fork_join([&] { EXPECT_TRUE(taken.entered_by(1)); },
                         [&] {
                           taken.pass();
                           std::atomic<bool> done{false};
                           pool.fork_join([&] { EXPECT_TRUE(eventually([&] { return done.load(); })); },
                                          [&] {
                                            there = std::this_thread::get_id();
                                            done = true;
                                          });
                         });
        }
        EXPECT_NE(there, std::this_thread::get_id());
      })
      .get();
}

TEST(fork_join, nothing_wakes_up_afterwards) {
  thread_pool pool{{.threads = 3}};
  EXPECT_EQ(fib(pool, 15), 610);
  EXPECT_TRUE(pool.drain_until({}).empty());
  const thread_pool_stats before = pool.stats();
  EXPECT_EQ(before.sleeping, before.threads);
  EXPECT_EQ(before.queued, 0U);
  EXPECT_EQ(pool.submit([] { return 1; }).get(), 1);
  EXPECT_TRUE(pool.drain_until({}).empty());
  EXPECT_EQ(pool.stats().wakes, before.wakes + 1);
}

}  // namespace
