// Waits that are redirected from one queue to another: readdress() and redirect() of internal/slot.hpp.

#include <gtest/gtest.h>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <stop_token>
#include <thread>
#include <utility>

namespace heddle::park {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::manual_executor;
using test::started;
using test::waited_for;

/// A place to wait, from which waiters can be moved to another one.
class station {
 public:
  class awaiter;

  /// @param while_arming called when the node stands in the queue but the thread does not sleep yet.
  phase wait(deadline until = {}, const std::stop_token& stop = {}, const std::function<void()>& while_arming = {}) {
    thread_wait wait{what(), until, std::source_location::current()};
    {
      queue_guard guard{waiters_};
      guard.push_back(wait.node());
    }
    if (while_arming) while_arming();
    const phase result = wait.park(until, stop);
    moved_ = wait.redirected();
    if (moved_) return result;
    queue_guard guard{waiters_};
    guard.remove(wait.node());
    return result;
  }

  awaiter async_wait(deadline until = {}, std::stop_token stop = {}, std::function<void()> while_arming = {});

  slot* claim_one() {
    queue_guard guard{waiters_};
    slot* const s = guard.first();
    if (s == nullptr || !claim(*s)) return nullptr;
    guard.remove(*s);
    return s;
  }

  bool wake_one() {
    slot* const s = claim_one();
    if (s != nullptr) publish(*s, phase::woken);
    return s != nullptr;
  }

  bool move_one_to(station& other) {
    slot* const s = claim_one();
    if (s == nullptr) return false;
    readdress(*s, other.what(), std::chrono::steady_clock::now().time_since_epoch().count());
    queue_guard guard{other.waiters_};
    guard.push_back(*s);
    redirect(*s);
    return true;
  }

  [[nodiscard]] slot* first() { return queue_guard{waiters_}.first(); }
  /// Whether the thread that waited last had been moved.
  [[nodiscard]] bool moved() const { return moved_; }

 private:
  [[nodiscard]] resource what() const { return resource::of(resource_kind::other, this, "station"); }
  queue waiters_;
  std::atomic<bool> moved_{false};
};

/// Waits a second time, once it was moved and woken.
class station::awaiter final : public task_wait {
 public:
  awaiter(station& here, deadline until, std::stop_token stop, std::function<void()> while_arming)
      : task_wait{here.what(), until, std::move(stop), std::source_location::current()},
        here_{here},
        while_arming_{std::move(while_arming)} {}
  phase await_resume() const { return result_; }

 private:
  [[nodiscard]] bool ready() noexcept override { return false; }
  [[nodiscard]] bool enqueue() noexcept override {
    {
      queue_guard guard{here_.waiters_};
      guard.push_back(node());
    }
    if (while_arming_) while_arming_();
    return true;
  }
  [[nodiscard]] step claimed(phase result) noexcept override {
    result_ = result;
    if (result == phase::woken && attempts_++ == 0) {
      rearm();
      queue_guard guard{here_.waiters_};
      guard.push_back(node());
      return step::wait;
    }
    queue_guard guard{here_.waiters_};
    guard.remove(node());
    return result == phase::cancelled ? step::unwind : step::resume;
  }
  void refused(phase result) noexcept override { result_ = result; }

  station& here_;
  std::function<void()> while_arming_;
  phase result_ = phase::idle;
  int attempts_ = 0;
};

station::awaiter station::async_wait(deadline until, std::stop_token stop, std::function<void()> while_arming) {
  return {*this, until, std::move(stop), std::move(while_arming)};
}

task<phase> pass(station& here, deadline until = {}, std::stop_token stop = {}, std::function<void()> arming = {}) {
  co_return co_await here.async_wait(until, std::move(stop), std::move(arming));
}

TEST(redirect, a_sleeping_thread_sleeps_on_and_is_woken_from_where_it_was_moved_to) {
  station from;
  station to;
  std::jthread waiter{[&] { EXPECT_EQ(from.wait(deadline::after(1h)), phase::woken); }};
  ASSERT_TRUE(waited_for(from));
  const wait_info before = test::waits_for(&from).front();
  ASSERT_TRUE(before.until);
  ASSERT_TRUE(from.move_one_to(to));
  EXPECT_FALSE(from.wake_one());
  ASSERT_TRUE(waited_for(to));
  const wait_info after = test::waits_for(&to).front();
  EXPECT_EQ(after.agent, before.agent);
  EXPECT_GE(after.since, before.since);
  EXPECT_FALSE(after.until);
  EXPECT_EQ(after.site, before.site);
  EXPECT_TRUE(to.wake_one());
  waiter.join();
  EXPECT_TRUE(from.moved());
}

TEST(redirect, a_suspended_task_is_posted_once_by_the_last_waker) {
  station from;
  station to;
  manual_executor ready;
  started waiter{ready, pass(from)};
  ready.run_all();
  ASSERT_TRUE(from.move_one_to(to));
  EXPECT_EQ(ready.pending(), 0U);
  EXPECT_TRUE(to.wake_one());
  EXPECT_EQ(ready.pending(), 1U);
  ready.run_all();
  EXPECT_TRUE(from.wake_one()) << "its second attempt";
  ready.run_all();
  EXPECT_EQ(waiter.value(), phase::woken);
}

TEST(redirect, one_that_does_not_sleep_yet_may_be_moved) {
  station from;
  station to;
  std::jthread waiter{[&] { EXPECT_EQ(from.wait({}, {}, [&] { EXPECT_TRUE(from.move_one_to(to)); }), phase::woken); }};
  ASSERT_TRUE(waited_for(to));
  EXPECT_TRUE(to.wake_one());
  waiter.join();
  EXPECT_TRUE(from.moved());

  manual_executor ready;
  started task{ready, pass(from, {}, {}, [&] { EXPECT_TRUE(from.move_one_to(to)); })};
  ready.run_all();
  EXPECT_FALSE(task.has_ended());
  ASSERT_TRUE(waited_for(to));
  EXPECT_TRUE(to.wake_one());
  EXPECT_EQ(ready.pending(), 1U);
  ready.run_all();
  EXPECT_TRUE(from.wake_one());
  ready.run_all();
  EXPECT_TRUE(task.has_ended());
}

TEST(redirect, one_that_was_moved_and_woken_before_it_sleeps_does_not_sleep) {
  station from;
  station to;
  const auto move_and_wake = [&] {
    EXPECT_TRUE(from.move_one_to(to));
    EXPECT_TRUE(to.wake_one());
  };
  EXPECT_EQ(from.wait({}, {}, move_and_wake), phase::woken);
  manual_executor ready;
  started task{ready, pass(from, {}, {}, move_and_wake)};
  EXPECT_TRUE(ready.run_one());
  EXPECT_EQ(ready.pending(), 0U);
  EXPECT_TRUE(from.wake_one());
  ready.run_all();
  EXPECT_TRUE(task.has_ended());
}

TEST(redirect, neither_deadline_nor_stop_ends_it_afterwards) {
  station from;
  station to;
  manual_executor ready;
  std::stop_source stop;
  const deadline until = deadline::after(200ms);
  std::atomic<bool> back{false};
  std::jthread thread{[&] {
    EXPECT_EQ(from.wait(until, stop.get_token()), phase::woken);
    back = true;
  }};
  ASSERT_TRUE(waited_for(from, 1)) << "the machine was too slow for this test";
  started task{ready, pass(from, until, stop.get_token())};
  ready.run_all();
  ASSERT_TRUE(waited_for(from, 2)) << "the machine was too slow for this test";
  ASSERT_TRUE(from.move_one_to(to));
  ASSERT_TRUE(from.move_one_to(to));
  stop.request_stop();
  task.stop();
  ASSERT_TRUE(test::passed(until));
  EXPECT_EQ(from.wait(deadline::after(2ms)), phase::timed_out);  // the clock has got there
  EXPECT_FALSE(back);
  EXPECT_EQ(ready.pending(), 0U);
  EXPECT_EQ(test::waits_for(&to).size(), 2U);
  EXPECT_TRUE(to.wake_one());
  EXPECT_TRUE(to.wake_one());
  thread.join();
  ready.run_all();
  EXPECT_EQ(ready.pending(), 0U) << "its next attempt is not stopped either";
  EXPECT_FALSE(task.has_ended());
  EXPECT_TRUE(from.wake_one());
  ready.run_all();
  EXPECT_EQ(task.value(), phase::woken);
}

TEST(redirect, who_meant_the_wait_before_misses_it) {
  station from;
  station to;
  std::jthread waiter{[&] { EXPECT_EQ(from.wait(), phase::woken); }};
  ASSERT_TRUE(waited_for(from));
  slot& node = *from.first();
  const std::uint64_t meant = generation_of(node.claim);
  ASSERT_TRUE(from.move_one_to(to));
  EXPECT_FALSE(cancel(node, meant, phase::timed_out));
  EXPECT_FALSE(cancel_current(node, phase::stopped));
  EXPECT_TRUE(to.wake_one());
}

TEST(redirect, a_wait_that_begins_afterwards_is_stopped_as_ever) {
  station from;
  station to;
  std::stop_source stop;
  std::jthread waiter{[&] {
    EXPECT_EQ(from.wait(), phase::woken);
    EXPECT_EQ(from.wait({}, stop.get_token()), phase::stopped);
    EXPECT_EQ(sync_wait(pass(from, {}, stop.get_token())), phase::stopped);
  }};
  ASSERT_TRUE(waited_for(from));
  ASSERT_TRUE(from.move_one_to(to));
  EXPECT_TRUE(to.wake_one());
  ASSERT_TRUE(waited_for(from));
  stop.request_stop();
}

TEST(redirect, who_looks_at_the_wait_is_waited_for) {
  station from;
  station to;
  std::jthread waiter{[&] { EXPECT_EQ(from.wait(), phase::woken); }};
  ASSERT_TRUE(waited_for(from));
  slot& node = *from.first();
  std::jthread mover;
  {
    const pin looking{node};
    ASSERT_TRUE(looking.holds());
    mover = std::jthread{[&] { EXPECT_TRUE(from.move_one_to(to)); }};
    ASSERT_TRUE(eventually([&] { return !node.pinnable.load(); }));
    EXPECT_EQ(node.resource_address, &from);
  }
  mover.join();
  EXPECT_EQ(node.resource_address, &to);
  EXPECT_TRUE(to.wake_one());
}

// Moved, stopped and timed out all at once: each wait ends once, and none is lost.
TEST(redirect, moves_that_race_with_deadlines_and_stops_lose_nobody) {
  constexpr int rounds = 1'500;
  station from;
  station to;
  std::atomic<bool> over{false};
  std::atomic<int> by_wake{0};
  std::atomic<int> wakes{0};
  std::jthread mover{[&] {
    while (!over) {
      from.move_one_to(to);
      std::this_thread::yield();
    }
  }};
  std::jthread waker{[&] {
    while (!over) {
      if (to.wake_one()) ++wakes;
      std::this_thread::yield();
    }
  }};
  for (int i = 0; i < rounds; ++i) {
    std::stop_source stop;
    std::jthread stopper;
    if (i % 8 == 0) stopper = std::jthread{[&] { stop.request_stop(); }};
    const phase result = from.wait(deadline::after(std::chrono::microseconds(i % 60)), stop.get_token());
    if (result == phase::woken) ++by_wake;
    EXPECT_EQ(result == phase::woken, from.moved());
  }
  over = true;
  mover.join();
  waker.join();
  EXPECT_EQ(by_wake, wakes);
  EXPECT_EQ(from.first(), nullptr);
  EXPECT_EQ(to.first(), nullptr);
}

}  // namespace
}  // namespace heddle::park
