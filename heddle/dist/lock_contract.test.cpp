// What holds for the locks of every engine.

#include <heddle/dist/fence_guard.hpp>
#include <heddle/dist/internal/lock_engine.hpp>
#include <heddle/dist/internal/test_support.hpp>
#include <heddle/dist/lock_service.hpp>
#include <heddle/park/snapshot.hpp>
#include <heddle/sys/identity.hpp>
#include <heddle/task/with_timeout.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <mutex>
#include <stop_token>

namespace {

using namespace heddle;
using namespace heddle::dist;
using namespace heddle::dist::testing;

struct memory_engine {
  static std::string url(const scratch&) { return "memory://"; }
  static std::unique_ptr<lock_engine> make(const scratch&, executor&) { return make_memory_locks(); }
  static constexpr fence strength = fence::advisory;
};
struct sqlite_engine {
  static std::string url(const scratch& folder) { return "sqlite://" + (folder / "locks.db"); }
  static std::unique_ptr<lock_engine> make(const scratch& folder, executor& blocking) {
    return make_sqlite_locks(folder / "locks.db", sys::random_id(), blocking).value();
  }
  static constexpr fence strength = fence::strict;
};

// The lease of a lock that is there at once.
lease taken(std::expected<lease, lock_error> got) {
  if (!got) {
    ADD_FAILURE() << to_string(got.error());
    std::abort();
  }
  return *std::move(got);
}

lock_options for_time(std::chrono::nanoseconds ttl) {
  lock_options how;
  how.ttl = ttl;
  how.renew = false;
  return how;
}

lock_options until(deadline when) {
  lock_options how;
  how.until = when;
  return how;
}

template <class Engine>
class lock_contract : public ::testing::Test {
 protected:
  scratch folder;
  thread_pool pool{{.threads = 3, .name = "test"}};
  std::unique_ptr<lock_service> locks = lock_service::open(Engine::url(folder), pool).value();
};

using engines = ::testing::Types<memory_engine, sqlite_engine>;
TYPED_TEST_SUITE(lock_contract, engines);

TYPED_TEST(lock_contract, excludes) {
  lock_service& locks = *this->locks;
  int counter = 0;  // guarded by the lock alone
  fence_guard resource;
  std::atomic<std::int64_t> last_token{0};
  constexpr int tasks = 8;
  constexpr int rounds = 25;
  sync_wait(with_scope([&](scope& s) -> task<void> {
    for (int i = 0; i < tasks; ++i) {
      s.spawn_on(
          this->pool,
          [](lock_service& service, int& count, fence_guard& guard, std::atomic<std::int64_t>& last) -> task<void> {
            for (int n = 0; n < rounds; ++n) {
              lease held = taken(co_await service.lock("shared"));
              EXPECT_LT(last.exchange(held.token()), held.token());
              EXPECT_TRUE(guard.admit(held.token(), held.owner()));
              const int before = count;
              co_await this_task::yield();
              count = before + 1;
              EXPECT_TRUE(co_await held.release());
            }
          }(locks, counter, resource, last_token));
    }
    co_return;
  }));
  EXPECT_EQ(counter, tasks * rounds);
  const lock_stats stats = locks.stats();
  EXPECT_EQ(stats.acquired, static_cast<std::uint64_t>(tasks * rounds));
  EXPECT_GT(stats.waited, 0U);
  EXPECT_EQ(stats.held_now, 0U);
  EXPECT_EQ(stats.lost, 0U);
}

TYPED_TEST(lock_contract, threads_and_tasks_exclude_each_other) {
  lock_service& locks = *this->locks;
  int counter = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 20; ++n) {
        lease held = taken(locks.lock_blocking("shared"));
        ++counter;
        EXPECT_TRUE(held.release_blocking());
      }
    });
  }
  sync_wait([](lock_service& service, int& count) -> task<void> {
    for (int n = 0; n < 20; ++n) {
      lease held = taken(co_await service.lock("shared"));
      ++count;
      EXPECT_TRUE(co_await held.release());
    }
  }(locks, counter));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter, 80);
}

TYPED_TEST(lock_contract, different_names_do_not_meet) {
  const lease a = taken(this->locks->lock_blocking("a"));
  const lease b = taken(this->locks->lock_blocking("b"));
  EXPECT_EQ(a.name(), "a");
  EXPECT_EQ(b.name(), "b");
  EXPECT_EQ(this->locks->stats().waited, 0U);
  EXPECT_EQ(this->locks->stats().held_now, 2U);
}

TYPED_TEST(lock_contract, try_lock_does_not_wait) {
  lock_service& locks = *this->locks;
  lease held = taken(sync_wait(locks.try_lock("a")));
  EXPECT_EQ(sync_wait(locks.try_lock("a")).error(), lock_error::would_block);
  EXPECT_TRUE(held.release_blocking());
  EXPECT_TRUE(sync_wait(locks.try_lock("a")));
}

TYPED_TEST(lock_contract, a_deadline_ends_the_wait) {
  lock_service& locks = *this->locks;
  lease held = taken(locks.lock_blocking("a"));
  EXPECT_EQ(sync_wait(locks.lock("a", until(deadline::after(5ms)))).error(), lock_error::timeout);
  EXPECT_EQ(locks.lock_blocking("a", until(deadline::after(5ms))).error(), lock_error::timeout);
  EXPECT_EQ(locks.stats().timeouts, 2U);
  EXPECT_TRUE(held.release_blocking());
  EXPECT_TRUE(locks.lock_blocking("a", until(deadline::after(30s))));  // nothing is left of those who gave up
}

TYPED_TEST(lock_contract, a_stop_ends_the_wait) {
  lock_service& locks = *this->locks;
  lease held = taken(locks.lock_blocking("a"));
  std::stop_source stop;
  lock_options how;
  how.stop = stop.get_token();
  std::thread waiter{[&] { EXPECT_EQ(locks.lock_blocking("a", how).error(), lock_error::stopped); }};
  EXPECT_TRUE(eventually([&] { return locks.stats().waiting_now == 1; }));
  stop.request_stop();
  waiter.join();
  EXPECT_EQ(sync_wait(locks.lock("a", how)).error(), lock_error::stopped);
}

TYPED_TEST(lock_contract, a_stopped_task_leaves_nothing_behind) {
  lock_service& locks = *this->locks;
  lease held = taken(locks.lock_blocking("a"));
  const auto late = sync_wait(with_timeout(locks.lock("a"), deadline::after(5ms)));
  EXPECT_EQ(late.error(), wait_error::timeout);
  EXPECT_EQ(locks.stats().waiting_now, 0U);
  EXPECT_TRUE(held.release_blocking());
  EXPECT_TRUE(locks.lock_blocking("a", until(deadline::after(30s))));
}

TYPED_TEST(lock_contract, a_lease_that_is_not_renewed_ends) {
  lock_service& locks = *this->locks;
  lease first = taken(locks.lock_blocking("a", for_time(50ms)));
  EXPECT_TRUE(first.is_valid());
  lease second = taken(locks.lock_blocking("a"));  // waits until the first has ended
  EXPECT_FALSE(first.is_valid());
  EXPECT_TRUE(first.stop().stop_requested());
  EXPECT_GT(second.token(), first.token());
  EXPECT_EQ(locks.stats().lost, 1U);
  EXPECT_EQ(first.release_blocking().error(), lock_error::lease_lost);
}

TYPED_TEST(lock_contract, a_late_release_changes_nothing) {
  lock_service& locks = *this->locks;
  lease late = taken(locks.lock_blocking("a", for_time(30ms)));
  const lease holder = taken(locks.lock_blocking("a"));
  EXPECT_EQ(sync_wait(late.release()).error(), lock_error::lease_lost);
  EXPECT_FALSE(late);
  EXPECT_EQ(sync_wait(locks.try_lock("a")).error(), lock_error::would_block);
  EXPECT_TRUE(holder.is_valid());
  EXPECT_EQ(late.release_blocking().error(), lock_error::not_owner);
}

TYPED_TEST(lock_contract, a_stale_holder_is_refused_by_the_resource) {
  lock_service& locks = *this->locks;
  fence_guard resource;
  const lease late = taken(locks.lock_blocking("a", for_time(30ms)));
  const lease holder = taken(locks.lock_blocking("a"));
  EXPECT_TRUE(resource.admit(holder.token(), holder.owner()));
  EXPECT_EQ(resource.admit(late.token(), late.owner()).error(), lock_error::stale_fence);
}

TYPED_TEST(lock_contract, the_heartbeat_keeps_a_lease) {
  lock_service& locks = *this->locks;
  lock_options how;
  how.ttl = 900ms;
  const boot_clock::time_point start = boot_clock::now();
  const lease held = taken(locks.lock_blocking("a", how));
  EXPECT_TRUE(eventually([&] { return boot_clock::now() > start + how.ttl && locks.stats().renewals >= 3; }));
  EXPECT_TRUE(held.is_valid());
  EXPECT_FALSE(held.stop().stop_requested());
  EXPECT_EQ(sync_wait(locks.try_lock("a")).error(), lock_error::would_block);
}

TYPED_TEST(lock_contract, valid_until_counts_from_the_request) {
  const boot_clock::time_point before = boot_clock::now();
  const lease held = taken(this->locks->lock_blocking("a", for_time(10s)));
  EXPECT_GT(held.valid_until(), before);
  EXPECT_LT(held.valid_until(), boot_clock::now() + 10s);
  EXPECT_LE(held.valid_until(), before + 10s);
}

TYPED_TEST(lock_contract, loss_fires_the_stop_token_in_time) {
  lock_service& locks = *this->locks;
  const boot_clock::time_point start = boot_clock::now();
  const lease first = taken(locks.lock_blocking("a", for_time(1s)));
  std::atomic<std::int64_t> fired{0};
  const std::stop_callback note{first.stop(), [&]() noexcept { fired = boot_clock::now().time_since_epoch().count(); }};
  const lease second = taken(locks.lock_blocking("a"));
  const std::int64_t granted = boot_clock::now().time_since_epoch().count();
  EXPECT_NE(fired, 0);
  EXPECT_GE(fired, first.valid_until().time_since_epoch().count());
  EXPECT_LT(fired, (start + 1s).time_since_epoch().count());  // the engine cannot have let it end before
  EXPECT_LT(fired, granted);
}

TYPED_TEST(lock_contract, waiters_are_served_in_order) {
  lock_service& locks = *this->locks;
  lease held = taken(locks.lock_blocking("a"));
  std::mutex guard;
  std::vector<int> order;
  std::vector<std::thread> threads;
  sync_wait(with_scope([&](scope& s) -> task<void> {
    for (int i = 0; i < 8; ++i) {
      if (i % 2 == 0) {
        s.spawn_on(this->pool, [](lock_service& service, std::mutex& m, std::vector<int>& out, int me) -> task<void> {
          lease mine = taken(co_await service.lock("a"));
          {
            const std::lock_guard lock{m};
            out.push_back(me);
          }
          EXPECT_TRUE(co_await mine.release());
        }(locks, guard, order, i));
      } else {
        threads.emplace_back([&, i] {
          lease mine = taken(locks.lock_blocking("a"));
          {
            const std::lock_guard lock{guard};
            order.push_back(i);
          }
          EXPECT_TRUE(mine.release_blocking());
        });
      }
      EXPECT_TRUE(eventually([&] {
        std::size_t waiting = 0;
        for (const auto& wait : park::snapshot::take().waits) waiting += wait.waits_for == resource_kind::lease ? 1 : 0;
        return waiting == static_cast<std::size_t>(i + 1);
      }));
    }
    EXPECT_TRUE(co_await held.release());
  }));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(locks.stats().waited_local, 8U);
  EXPECT_EQ(locks.stats().waited_remote, 0U);  // the lock is free when the next one's turn comes
}

TYPED_TEST(lock_contract, a_waiter_stands_in_the_picture) {
  lock_service& locks = *this->locks;
  lease held = taken(locks.lock_blocking("process_order_7"));
  std::thread waiter{[&] { EXPECT_TRUE(locks.lock_blocking("process_order_7")); }};
  park::wait_info seen;
  EXPECT_TRUE(eventually([&] {
    for (const auto& wait : park::snapshot::take().waits) {
      if (wait.waits_for == resource_kind::lease) seen = wait;
    }
    return seen.agent != 0;
  }));
  EXPECT_EQ(seen.resource_name, "process_order_7");
  EXPECT_EQ(seen.holder, current_agent().id());
  EXPECT_EQ(seen.kind, agent::kind::thread);
  EXPECT_TRUE(held.release_blocking());
  waiter.join();
}

TYPED_TEST(lock_contract, a_dropped_lease_is_released) {
  lock_service& locks = *this->locks;
  {
    const lease dropped = taken(locks.lock_blocking("a"));
  }
  EXPECT_TRUE(locks.lock_blocking("a", until(deadline::after(30s))));
  lease assigned = taken(locks.lock_blocking("b"));
  assigned = taken(locks.lock_blocking("c"));
  EXPECT_TRUE(locks.lock_blocking("b", until(deadline::after(30s))));
  EXPECT_EQ(locks.stats().lost, 0U);
}

TYPED_TEST(lock_contract, a_lease_outlives_its_service_as_a_lost_one) {
  lease held = taken(this->locks->lock_blocking("a"));
  const std::stop_token stop = held.stop();
  this->locks.reset();
  EXPECT_TRUE(stop.stop_requested());
  EXPECT_EQ(held.release_blocking().error(), lock_error::lease_lost);
}

TYPED_TEST(lock_contract, require_is_held_at_the_opening) {
  thread_pool pool{{.threads = 2}};
  const scratch other;
  lock_service_options how;
  how.require = fence::strict;
  const auto opened = lock_service::open(TypeParam::url(other), pool, how);
  EXPECT_EQ(opened.has_value(), TypeParam::strength == fence::strict);
  EXPECT_EQ(this->locks->traits().strength, TypeParam::strength);
}

TYPED_TEST(lock_contract, an_engine_keeps_its_rules) {
  const scratch folder;
  thread_pool pool{{.threads = 2}};
  const auto engine = TypeParam::make(folder, pool);
  const auto ask = [&](lock_request request) {
    engine->ask_blocking({&request, 1});
    EXPECT_FALSE(request.error);
    return request;
  };
  constexpr std::int64_t minute = 60'000'000'000;
  const lock_request first = ask(lock_request::acquire("a", minute));
  EXPECT_TRUE(first.done);
  const lock_request second = ask(lock_request::acquire("a", minute));
  EXPECT_FALSE(second.done);
  EXPECT_GT(second.held_until_ns, boot_clock::now().time_since_epoch().count());
  EXPECT_FALSE(ask(lock_request::release("a", first.token + 1)).done);  // a stranger's
  EXPECT_FALSE(ask(lock_request::release("a", first.token - 1)).done);
  EXPECT_FALSE(ask(lock_request::renew("a", first.token + 1, minute)).done);
  EXPECT_FALSE(ask(lock_request::renew("b", 1, minute)).done);
  EXPECT_FALSE(ask(lock_request::acquire("a", minute)).done);
  EXPECT_TRUE(ask(lock_request::renew("a", first.token, 2 * minute)).done);
  EXPECT_TRUE(ask(lock_request::release("a", first.token)).done);
  EXPECT_FALSE(ask(lock_request::release("a", first.token)).done);
  const lock_request short_one = ask(lock_request::acquire("a", 1'000'000));
  EXPECT_GT(short_one.token, first.token);
  EXPECT_TRUE(eventually([&] {  // its end comes, and what has ended is not renewed
    return !ask(lock_request::renew("a", short_one.token, 1'000'000)).done;
  }));
  EXPECT_FALSE(ask(lock_request::release("a", short_one.token)).done);
  EXPECT_GT(ask(lock_request::acquire("a", minute)).token, short_one.token);
}

TEST(lock_service, an_unknown_engine_is_refused_with_one_sentence) {
  thread_pool pool{{.threads = 2}};
  for (const char* url : {"", "redis://host", "memory://x", "sqlite://relative", "sqlite://", "sqlite:///"}) {
    const auto opened = lock_service::open(url, pool);
    ASSERT_FALSE(opened) << url;
    EXPECT_FALSE(opened.error().text.empty());
    EXPECT_EQ(opened.error().text.find('\n'), std::string::npos);
  }
}

}  // namespace
