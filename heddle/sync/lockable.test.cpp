// What every lock promises, asked of all of them by threads; by tasks: lockable_tasks.test.cpp.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <tests/support/kernel.hpp>
#include <tests/support/lockables.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/waiting.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <mutex>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace heddle {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::has_waiters;

template <class Lock>
class lockable : public testing::Test {};

using everything =
    testing::Types<test::a_mutex, test::a_recursive_mutex, test::a_shared_mutex_to_write, test::a_pi_mutex,
                   test::one_permit, test::a_guarded_mutex, test::a_guarded_shared_mutex, test::a_watched_mutex>;
TYPED_TEST_SUITE(lockable, everything, test::by_name);

template <class Lock>
bool is_free(Lock& lock) {
  lock.lock();
  lock.unlock();
  return lock.waits().empty();
}

TYPED_TEST(lockable, excludes_threads) {
  constexpr int threads = 4;
  constexpr int rounds = 2'000;
  TypeParam lock;
  std::atomic<int> inside{0};
  std::atomic<int> collisions{0};
  int count = 0;
  {
    std::vector<std::jthread> running;
    for (int t = 0; t < threads; ++t) {
      running.emplace_back([&] {
        for (int i = 0; i < rounds; ++i) {
          const std::lock_guard held{lock};
          if (inside.fetch_add(1, std::memory_order_relaxed) != 0) ++collisions;
          ++count;
          inside.fetch_sub(1, std::memory_order_relaxed);
        }
      });
    }
  }
  EXPECT_EQ(collisions, 0);
  EXPECT_EQ(count, threads * rounds);
  EXPECT_TRUE(is_free(lock));
}

// Nobody waits, and the flag orders nothing: only the lock does.
TYPED_TEST(lockable, what_was_done_under_it_is_seen_under_it) {
  TypeParam lock;
  alignas(64) int plain = 0;
  std::atomic<bool> done{false};
  const std::jthread before{[&] {
    {
      const std::lock_guard held{lock};
      plain = 1;
    }
    done.store(true, std::memory_order_relaxed);
  }};
  ASSERT_TRUE(eventually([&] { return done.load(std::memory_order_relaxed); }));
  const std::lock_guard held{lock};
  EXPECT_EQ(plain, 1);
}

TYPED_TEST(lockable, what_was_done_under_it_is_seen_by_whoever_waited) {
  constexpr int waiters = 4;
  TypeParam lock;
  int plain = 0;
  lock.lock();
  std::vector<std::jthread> running;
  for (int i = 0; i < waiters; ++i) {
    running.emplace_back([&] {
      const std::lock_guard held{lock};
      ++plain;
    });
  }
  EXPECT_TRUE(has_waiters(lock, waiters));
  plain = 1;
  lock.unlock();
  running.clear();
  EXPECT_EQ(plain, 1 + waiters);
  EXPECT_TRUE(is_free(lock));
}

// The last of its users destroys it; what lies there then must stay as it is.
TYPED_TEST(lockable, may_be_destroyed_right_after_the_last_unlock) {
  constexpr int rounds = 200;
  constexpr unsigned char rubble = 0xee;
  struct shared_object {
    TypeParam lock;
    int users = 3;
  };
  const auto drop = [](shared_object& object) {
    object.lock.lock();
    const bool last = --object.users == 0;
    object.lock.unlock();
    if (last) {
      object.~shared_object();
      std::memset(static_cast<void*>(&object), rubble, sizeof object);
    }
  };
  for (int i = 0; i < rounds; ++i) {
    const auto memory = std::make_unique<unsigned char[]>(sizeof(shared_object));
    auto* object = new (memory.get()) shared_object;
    {
      const std::jthread one{[&] { drop(*object); }};
      const std::jthread other{[&] { drop(*object); }};
      drop(*object);
    }
    for (std::size_t byte = 0; byte < sizeof(shared_object); ++byte) ASSERT_EQ(memory[byte], rubble);
  }
}

// Those that sleep cost nothing: no time on a processor, and no wake-ups, but for the one after some ms with which a wait
// makes itself known to the diagnosis.
TYPED_TEST(lockable, waiting_costs_no_processor) {
  constexpr std::size_t waiters = 8;
  TypeParam lock;
  lock.lock();
  std::vector<std::jthread> running;
  for (std::size_t i = 0; i < waiters; ++i) running.emplace_back([&] { const std::lock_guard held{lock}; });
  EXPECT_TRUE(has_waiters(lock, waiters));
  std::vector<std::string> before;
  const auto used = [&] {
    std::vector<std::string> all;
    for (const park::wait_info& wait : lock.waits()) {  // ns on a processor, ns ready to run, how often it ran
      std::ifstream file{"/proc/self/task/" + std::to_string(wait.thread) + "/schedstat"};
      std::getline(file, all.emplace_back());
    }
    return all;
  };
  EXPECT_TRUE(eventually([&] {
    before = used();
    EXPECT_TRUE(test::passed(deadline::after(50ms)));
    return used() == before;
  }));
  EXPECT_EQ(before.size(), waiters);
  EXPECT_TRUE(std::ranges::none_of(before, &std::string::empty));
  lock.unlock();
}

// --- many threads, few processors ---

// Keeps this thread, and those that it makes, on some of the processors for its lifetime.
class on_processors {
 public:
  explicit on_processors(int wanted) {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t fewer;
    CPU_ZERO(&fewer);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&fewer) < wanted; ++cpu) {
      if (CPU_ISSET(cpu, &before_)) CPU_SET(cpu, &fewer);
    }
    ::sched_setaffinity(0, sizeof fewer, &fewer);
  }
  on_processors(const on_processors&) = delete;
  on_processors& operator=(const on_processors&) = delete;
  ~on_processors() { ::sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_{};
};

std::chrono::microseconds processor_time() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& t) {
    return std::chrono::seconds{t.tv_sec} + std::chrono::microseconds{t.tv_usec};
  };
  return of(used.ru_utime) + of(used.ru_stime);
}

// 64 threads take turns at some work, in which they leave the processor to others. Everybody gets all its turns, and the
// processors do little besides: were the waiters to spin, or to wake each other in vain, they would use many times what
// the work takes.
template <class Lock>
void crowd_takes_turns(int processors) {
  constexpr int threads = 64;
  constexpr int turns = 20;
  const on_processors few{processors};
  std::minstd_rand state;
  const auto work = [&] {
    state.discard(10'000);
    std::this_thread::yield();
  };
  const auto began = processor_time();
  for (int i = 0; i < threads * turns; ++i) work();
  const auto alone = processor_time() - began;
  Lock lock;
  int done = 0;
  {
    std::vector<std::jthread> running;
    for (int t = 0; t < threads; ++t) {
      running.emplace_back([&] {
        for (int i = 0; i < turns; ++i) {
          const std::lock_guard held{lock};
          work();
          ++done;
        }
      });
    }
  }
  const auto crowded = processor_time() - began - alone;
  EXPECT_EQ(done, threads * turns);
  EXPECT_LT(crowded, 10 * alone + 50ms) << "alone the work takes " << alone.count() << " us";
}

TYPED_TEST(lockable, a_crowd_on_two_processors_gets_its_turns) { crowd_takes_turns<TypeParam>(2); }

TYPED_TEST(lockable, a_crowd_on_one_processor_gets_its_turns) { crowd_takes_turns<TypeParam>(1); }

// Not what the standard library's locks promise.
template <class Lock>
class queued_lockable : public testing::Test {};

using queued = testing::Types<test::a_mutex, test::a_recursive_mutex, test::a_shared_mutex_to_write, test::a_pi_mutex,
                              test::one_permit, test::a_guarded_mutex, test::a_guarded_shared_mutex>;
TYPED_TEST_SUITE(queued_lockable, queued, test::by_name);

TYPED_TEST(queued_lockable, threads_are_served_oldest_first) {
  constexpr int waiters = 4;
  TypeParam lock;
  std::vector<int> order;
  lock.lock();
  std::vector<std::jthread> threads;
  for (int i = 0; i < waiters; ++i) {
    threads.emplace_back([&lock, &order, i] {
      const std::lock_guard held{lock};
      order.push_back(i);
    });
    EXPECT_TRUE(eventually([&] {
      const auto waits = lock.waits();
      return waits.size() == static_cast<std::size_t>(i) + 1 &&
             std::ranges::all_of(waits, [](const auto& wait) { return test::sleeps_in_the_kernel(wait.thread); });
    }));
  }
  lock.unlock();
  threads.clear();
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3}));
}

// --- who has waited comes first ---

template <class Lock>
class fair_lockable : public testing::Test {};

using fair = testing::Types<test::a_mutex, test::a_recursive_mutex, test::a_shared_mutex_to_write, test::a_share,
                            test::a_pi_mutex, test::one_permit>;
TYPED_TEST_SUITE(fair_lockable, fair, test::by_name);

TYPED_TEST(fair_lockable, a_waiter_is_not_passed_over_for_long) {
  for (int round = 0; round < 10; ++round) {
    TypeParam lock;
    std::atomic<bool> has_it{false};
    std::atomic<bool> enough{false};
    lock.block();
    const std::jthread waiter{[&] {
      const std::lock_guard held{lock};
      has_it = true;
      (void)eventually([&] { return enough.load(); });
    }};
    EXPECT_TRUE(has_waiters(lock));
    const std::uint32_t thread = lock.waits().front().thread;
    EXPECT_TRUE(eventually([&] { return test::sleeps_in_the_kernel(thread); }));
    EXPECT_TRUE(test::passed(deadline::after(2ms)));
    lock.unblock();
    const auto until = deadline::after(2ms);
    bool passed_over = false;
    while (!has_it && !until.has_passed() && !passed_over) {
      if constexpr (requires { lock.try_block(); }) {
        passed_over = lock.try_block();
      } else {
        passed_over = lock.try_lock();
      }
    }
    EXPECT_FALSE(passed_over) << "a newcomer went past the waiter";
    if (passed_over) lock.unblock();
    EXPECT_TRUE(eventually([&] { return has_it.load(); }));
    enough = true;
  }
}

TYPED_TEST(fair_lockable, a_waiter_gets_its_turns_beside_one_that_never_rests) {
  constexpr int turns = 100;
  TypeParam lock;
  std::atomic<bool> served{false};
  const std::jthread greedy{[&] {
    while (!served) {
      lock.block();
      lock.unblock();
    }
  }};
  const std::jthread patient{[&] {
    for (int i = 0; i < turns; ++i) {
      const std::lock_guard held{lock};
    }
    served = true;
  }};
  EXPECT_TRUE(eventually([&] { return served.load(); }));
  served = true;
}

// --- those that the standard's guards take ---

template <class Lock>
class standard_lockable : public testing::Test {};

using for_the_standards_guards = testing::Types<test::a_mutex, test::a_recursive_mutex, test::a_shared_mutex_to_write,
                                                test::a_pi_mutex, test::a_watched_mutex, test::a_watched_timed_mutex>;
TYPED_TEST_SUITE(standard_lockable, for_the_standards_guards, test::by_name);

template <class Lock>
bool another_gets(Lock& lock) {
  bool got = false;
  std::jthread{[&] { got = std::unique_lock(lock, std::try_to_lock).owns_lock(); }}.join();
  return got;
}

TYPED_TEST(standard_lockable, works_with_the_standards_guards) {
  TypeParam subject;
  TypeParam beside;
  auto& lock = subject.itself();
  auto& second = beside.itself();
  {
    const std::lock_guard held{lock};
    EXPECT_TRUE(lock.held_by_me());
    EXPECT_FALSE(another_gets(lock));
  }
  {
    const std::scoped_lock both{lock, second};
    EXPECT_TRUE(lock.held_by_me() && second.held_by_me());
  }
  {
    std::unique_lock held{lock, std::defer_lock};
    EXPECT_FALSE(held.owns_lock());
    held.lock();
    std::unique_lock moved = std::move(held);
    EXPECT_TRUE(moved.owns_lock());
    moved.unlock();
    EXPECT_TRUE(another_gets(lock));
    EXPECT_TRUE(moved.try_lock());
  }
  std::unique_lock one{lock, std::defer_lock};
  std::unique_lock other{second, std::defer_lock};
  EXPECT_EQ(std::try_lock(one, other), -1);
  EXPECT_FALSE(another_gets(lock) || another_gets(second));
  one.unlock();
  other.unlock();
  std::lock(one, other);
  EXPECT_TRUE(lock.held_by_me() && second.held_by_me());
}

TYPED_TEST(standard_lockable, lets_go_when_an_exception_passes) {
  TypeParam subject;
  auto& lock = subject.itself();
  try {
    const std::lock_guard held{lock};
    throw 1;
  } catch (int) {
    EXPECT_FALSE(lock.held_by_me());
  }
  EXPECT_TRUE(another_gets(lock));
}

TYPED_TEST(standard_lockable, two_are_locked_together_in_any_order) {
  constexpr int rounds = 500;
  TypeParam a;
  TypeParam b;
  int count = 0;
  {
    const std::jthread one{[&] {
      for (int i = 0; i < rounds; ++i) {
        const std::scoped_lock held{a.itself(), b.itself()};
        ++count;
      }
    }};
    const std::jthread other{[&] {
      for (int i = 0; i < rounds; ++i) {
        const std::scoped_lock held{b.itself(), a.itself()};
        ++count;
      }
    }};
  }
  EXPECT_EQ(count, 2 * rounds);
}

TYPED_TEST(standard_lockable, works_with_condition_variable_any) {
  TypeParam subject;
  auto& lock = subject.itself();
  std::condition_variable_any changed;
  int turn = 0;
  const auto play = [&](int mine, int rounds) {
    for (int i = 0; i < rounds; ++i) {
      std::unique_lock held{lock};
      changed.wait(held, [&] { return turn % 2 == mine; });
      EXPECT_TRUE(lock.held_by_me());
      ++turn;
      changed.notify_one();
    }
  };
  {
    const std::jthread other{[&] { play(1, 100); }};
    play(0, 100);
  }
  EXPECT_EQ(turn, 200);
}

// Made at compile time, so whatever is constructed before main() begins finds them ready.
constinit mutex early_mutex{"early"};
constinit recursive_mutex early_recursive_mutex;
constinit shared_mutex early_shared_mutex;
constinit pi_mutex early_pi_mutex;
constinit watched<std::mutex> early_watched_mutex;

TEST(early_lockable, can_be_made_at_compile_time) {
  const std::scoped_lock all{early_mutex, early_recursive_mutex, early_shared_mutex, early_pi_mutex,
                             early_watched_mutex};
  EXPECT_TRUE(early_mutex.held_by_me() && early_recursive_mutex.held_by_me() && early_shared_mutex.held_by_me());
  EXPECT_TRUE(early_pi_mutex.held_by_me() && early_watched_mutex.held_by_me());
}

// --- misuse ---

template <class Lock>
class lockable_misuse : public test::misuse {};
TYPED_TEST_SUITE(lockable_misuse, for_the_standards_guards, test::by_name);

TYPED_TEST(lockable_misuse, unlocking_what_is_not_held_is_fatal) {
  EXPECT_DEATH(
      {
        TypeParam lock;
        lock.unlock();
      },
      "unlocked by an agent that does not (hold it|write under it)");
  EXPECT_DEATH(
      {
        TypeParam lock;
        lock.lock();
        std::jthread{[&] { lock.unlock(); }}.join();
        lock.unlock();
      },
      "unlocked by an agent that does not (hold it|write under it)");
}

template <class Lock>
class lockable_destruction : public test::misuse {};
using those_that_notice = testing::Types<test::a_mutex, test::a_recursive_mutex, test::a_shared_mutex_to_write,
                                         test::a_share, test::a_pi_mutex, test::a_watched_mutex>;
TYPED_TEST_SUITE(lockable_destruction, those_that_notice, test::by_name);

TYPED_TEST(lockable_destruction, destroying_what_is_held_is_fatal) {
  EXPECT_DEATH(
      {
        TypeParam lock;
        lock.lock();
      },
      "destroyed while it is held");
}

}  // namespace
}  // namespace heddle
