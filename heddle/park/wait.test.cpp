#include <heddle/park/wait.hpp>

#include <gtest/gtest.h>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/tasks.hpp>
#include <tests/support/waiting.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace heddle::park {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::manual_executor;
using test::started;
using test::waited_for;

/// The smallest primitive: all wait until somebody ends their waits. It shows its inside to the tests.
class gate {
 public:
  class awaiter;

  phase wait(deadline until = {}, const std::stop_token& stop = {}) {
    thread_wait wait{what(), until, std::source_location::current()};
    {
      queue_guard guard{waiters_};
      guard.push_back(wait.node());
    }
    const phase result = wait.park(until, stop);
    queue_guard guard{waiters_};
    guard.remove(wait.node());
    return result;
  }

  /// @param while_arming called when the task stands in the queue but is not suspended yet.
  awaiter async_wait(deadline until = {}, std::stop_token stop = {}, std::function<void()> while_arming = {});

  /// First half of a wake: the oldest waiter is claimed and taken out; null if nobody can be.
  slot* claim_one() {
    queue_guard guard{waiters_};
    for (slot* s = guard.first(); s != nullptr; s = guard.after(*s)) {
      if (!claim(*s)) continue;
      guard.remove(*s);
      return s;
    }
    return nullptr;
  }

  bool wake_one(phase result = phase::woken) {
    slot* s = claim_one();
    if (s == nullptr) return false;
    publish(*s, result);
    return true;
  }

  [[nodiscard]] bool empty() { return queue_guard{waiters_}.empty(); }
  [[nodiscard]] slot* first() { return queue_guard{waiters_}.first(); }

 private:
  [[nodiscard]] resource what() const { return resource::of(resource_kind::other, this, "gate"); }
  queue waiters_;
};

class gate::awaiter final : public task_wait {
 public:
  awaiter(gate& g, deadline until, std::stop_token stop, std::function<void()> while_arming)
      : task_wait{g.what(), until, std::move(stop), std::source_location::current()},
        gate_{g},
        while_arming_{std::move(while_arming)} {}
  phase await_resume() const { return result_; }

 private:
  [[nodiscard]] bool ready() noexcept override { return false; }
  [[nodiscard]] bool enqueue() noexcept override {
    {
      queue_guard guard{gate_.waiters_};
      guard.push_back(node());
    }
    if (while_arming_) while_arming_();
    return true;
  }
  [[nodiscard]] step claimed(phase result) noexcept override {
    {
      queue_guard guard{gate_.waiters_};
      guard.remove(node());
    }
    result_ = result;
    return result == phase::cancelled ? step::unwind : step::resume;
  }
  void refused(phase result) noexcept override { result_ = result; }

  gate& gate_;
  std::function<void()> while_arming_;
  phase result_ = phase::idle;
};

gate::awaiter gate::async_wait(deadline until, std::stop_token stop, std::function<void()> while_arming) {
  return {*this, until, std::move(stop), std::move(while_arming)};
}

task<phase> pass(gate& g, deadline until = {}, std::stop_token stop = {}, std::function<void()> while_arming = {}) {
  co_return co_await g.async_wait(until, std::move(stop), std::move(while_arming));
}

TEST(wait, a_thread_is_woken_with_the_result_of_its_waker) {
  for (const phase result : {phase::woken, phase::granted, phase::closed}) {
    gate g;
    std::jthread waiter{[&] { EXPECT_EQ(g.wait(), result); }};
    ASSERT_TRUE(waited_for(g));
    EXPECT_TRUE(g.wake_one(result));
    waiter.join();
    EXPECT_FALSE(g.wake_one());
  }
}

// Nothing but the wake orders the two: the waker's last use of the queue's lock comes before what it does.
TEST(wait, what_its_waker_did_is_seen) {
  gate g;
  alignas(64) int plain = 0;  // beside the gate, ThreadSanitizer would soon forget who wrote it
  std::jthread waiter{[&] {
    EXPECT_EQ(g.wait(), phase::woken);
    EXPECT_EQ(plain, 1);
  }};
  ASSERT_TRUE(waited_for(g));
  slot* claimed = g.claim_one();
  ASSERT_NE(claimed, nullptr);
  plain = 1;
  publish(*claimed, phase::woken);
}

TEST(wait, one_within_another_has_a_slot_of_its_own) {
  gate outer;
  gate inner;
  const resource what = resource::of(resource_kind::other, &outer, "outer");
  std::atomic<bool> woken_inside{false};
  std::jthread waiter{[&] {
    thread_wait first{what, {}, std::source_location::current()};
    EXPECT_EQ(inner.wait(), phase::woken);
    woken_inside = true;
    EXPECT_EQ(phase_of(first.node().claim), phase::arming);
    EXPECT_EQ(inner.wait(deadline::after(1ms)), phase::timed_out);
  }};
  ASSERT_TRUE(waited_for(inner));
  const std::uint32_t second = test::waits_for(&inner).front().agent;
  const std::vector<wait_info> all = snapshot::take().waits;
  EXPECT_TRUE(
      std::ranges::any_of(all, [&](const wait_info& each) { return each.resource == &outer && each.agent != second; }));
  EXPECT_TRUE(inner.wake_one());
  waiter.join();
  EXPECT_TRUE(woken_inside);
}

TEST(wait, a_task_is_posted_once_with_the_result_of_its_waker) {
  for (const phase result : {phase::woken, phase::granted, phase::closed}) {
    gate g;
    manual_executor ready;
    started waiter{ready, pass(g)};
    ready.run_all();
    ASSERT_TRUE(waited_for(g));
    EXPECT_EQ(ready.pending(), 0U);
    EXPECT_TRUE(g.wake_one(result));
    EXPECT_EQ(ready.pending(), 1U);
    EXPECT_FALSE(g.wake_one());
    ready.run_all();
    ASSERT_TRUE(waiter.has_ended());
    EXPECT_EQ(waiter.value(), result);
  }
}

TEST(wait, a_deadline_ends_it_and_not_early) {
  gate g;
  const deadline until = deadline::after(4ms);
  EXPECT_EQ(g.wait(until), phase::timed_out);
  EXPECT_TRUE(until.has_passed());
  EXPECT_EQ(g.wait(deadline::after(-1h)), phase::timed_out);
  const deadline later = deadline::after(4ms);
  EXPECT_EQ(sync_wait(pass(g, later)), phase::timed_out);
  EXPECT_TRUE(later.has_passed());
  EXPECT_EQ(sync_wait(pass(g, deadline::after(-1h))), phase::timed_out);
  EXPECT_TRUE(g.empty());
}

TEST(wait, a_stop_ends_it) {
  gate g;
  manual_executor ready;
  std::stop_source stop;
  std::jthread thread{[&] { EXPECT_EQ(g.wait({}, stop.get_token()), phase::stopped); }};
  started by_token{ready, pass(g, {}, stop.get_token())};
  started by_context{ready, pass(g)};
  ready.run_all();
  ASSERT_TRUE(waited_for(g, 3));
  stop.request_stop();
  by_context.stop();
  thread.join();
  ready.run_all();
  EXPECT_EQ(by_token.value(), phase::stopped);
  EXPECT_TRUE(by_context.was_stopped());
  EXPECT_TRUE(g.empty());
  EXPECT_EQ(g.wait({}, stop.get_token()), phase::stopped);
  EXPECT_EQ(sync_wait(pass(g, {}, stop.get_token())), phase::stopped);
}

TEST(wait, a_stop_while_it_is_being_armed_is_not_lost) {
  gate g;
  std::stop_source own;
  EXPECT_EQ(sync_wait(pass(g, {}, own.get_token(), [&] { own.request_stop(); })), phase::stopped);
  std::stop_source context;
  EXPECT_TRUE(
      sync_wait_outcome(pass(g, {}, {}, [&] { context.request_stop(); }), {context.get_token(), {}}).is_stopped());
  EXPECT_TRUE(g.empty());
}

TEST(wait, a_deadline_while_it_is_being_armed_is_not_lost) {
  gate g;
  const deadline until = deadline::after(1ms);
  EXPECT_EQ(sync_wait(pass(g, until, {}, [&] { EXPECT_TRUE(test::passed(deadline::after(3ms))); })), phase::timed_out);
  EXPECT_TRUE(g.empty());
}

TEST(wait, a_wake_while_it_is_being_armed_is_not_lost) {
  gate g;
  manual_executor ready;
  started waiter{ready, pass(g, {}, {}, [&] { EXPECT_TRUE(g.wake_one(phase::granted)); })};
  EXPECT_TRUE(ready.run_one());
  EXPECT_EQ(ready.pending(), 0U) << "it goes on where it is, without a post";
  ASSERT_TRUE(waiter.has_ended());
  EXPECT_EQ(waiter.value(), phase::granted);
}

TEST(wait, one_claimed_while_it_was_being_armed_is_posted_when_the_result_comes) {
  gate g;
  manual_executor ready;
  slot* claimed = nullptr;
  started waiter{ready, pass(g, {}, {}, [&] { claimed = g.claim_one(); })};
  ready.run_all();
  ASSERT_NE(claimed, nullptr);
  EXPECT_FALSE(waiter.has_ended());
  EXPECT_EQ(phase_of(claimed->claim), phase::claimed_suspended);
  publish(*claimed, phase::woken);
  EXPECT_EQ(ready.pending(), 1U);
  ready.run_all();
  EXPECT_EQ(waiter.value(), phase::woken);
}

// Between the two halves of a wake, neither deadline nor stop count.
TEST(wait, one_that_is_claimed_is_not_ended_by_deadline_or_stop) {
  gate g;
  std::stop_source stop;
  const deadline until = deadline::after(300ms);
  manual_executor ready;
  std::atomic<bool> back{false};
  std::jthread thread{[&] {
    EXPECT_EQ(g.wait(until, stop.get_token()), phase::granted);
    back = true;
  }};
  ASSERT_TRUE(waited_for(g, 1));
  started task{ready, pass(g, until, stop.get_token())};
  ready.run_all();
  ASSERT_TRUE(waited_for(g, 2)) << "the machine was too slow for this test";
  slot* first = g.claim_one();
  slot* second = g.claim_one();
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  stop.request_stop();
  ASSERT_TRUE(test::passed(until));
  EXPECT_FALSE(back);
  EXPECT_EQ(ready.pending(), 0U);
  publish(*first, phase::granted);
  publish(*second, phase::granted);
  thread.join();
  ready.run_all();
  EXPECT_EQ(task.value(), phase::granted);
}

TEST(wait, it_ends_once_whoever_else_wants_to_end_it) {
  constexpr int rounds = 1'000;
  gate g;
  for (int i = 0; i < rounds; ++i) {
    std::atomic<int> winners{0};
    std::atomic<bool> go{false};
    std::atomic<phase> result{phase::idle};
    std::jthread waiter{[&] { result = g.wait(); }};
    ASSERT_TRUE(eventually([&] { return !g.empty(); }));
    slot& s = *g.first();
    const std::uint64_t generation = generation_of(s.claim);
    {
      std::vector<std::jthread> enders;
      for (const phase how : {phase::timed_out, phase::stopped}) {
        enders.emplace_back([&, how] {
          while (!go) std::this_thread::yield();
          if (cancel(s, generation, how)) ++winners;
        });
      }
      go = true;
      if (g.wake_one()) ++winners;
    }
    waiter.join();
    ASSERT_EQ(winners, 1);
    ASSERT_NE(result, phase::idle);
  }
}

TEST(wait, a_late_canceller_does_not_hit_the_next_wait) {
  gate g;
  manual_executor ready;
  const auto twice = [](gate& at) -> task<phase> {
    (void)co_await at.async_wait();
    co_return co_await at.async_wait();
  };
  started waiter{ready, twice(g)};
  ready.run_all();
  slot& s = *g.first();
  const std::uint64_t first = generation_of(s.claim);
  g.wake_one();
  EXPECT_FALSE(cancel(s, first, phase::timed_out)) << "it has a result already";
  ready.run_all();
  ASSERT_TRUE(waited_for(g));
  EXPECT_EQ(g.first(), &s);
  EXPECT_FALSE(cancel(s, first, phase::timed_out));
  EXPECT_EQ(ready.pending(), 0U);
  EXPECT_TRUE(cancel(s, generation_of(s.claim), phase::victim));
  ready.run_all();
  EXPECT_EQ(waiter.value(), phase::victim);
}

TEST(wait, a_pinned_one_does_not_return_until_it_is_let_go) {
  gate g;
  std::atomic<bool> back{false};
  std::jthread waiter{[&] {
    (void)g.wait();
    back = true;
  }};
  ASSERT_TRUE(waited_for(g));
  slot& s = *g.first();
  std::optional<pin> pinned{std::in_place, s};
  EXPECT_TRUE(pinned->holds());
  EXPECT_EQ(s.resource_address, &g);
  EXPECT_TRUE(g.wake_one());
  const deadline a_while = deadline::after(5ms);
  EXPECT_TRUE(eventually([&] { return a_while.has_passed() || back; }));
  EXPECT_FALSE(back);
  pinned.reset();
  waiter.join();
  EXPECT_TRUE(back);
  EXPECT_FALSE(pin{s}.holds()) << "nothing is waited for any more";
}

TEST(wait, a_task_that_blocks_its_thread_waits_as_the_task) {
  gate g;
  test::loop_thread loop;
  const auto block = [](gate& at) -> task<phase> { co_return at.wait(); };
  started waiter{loop.where(), block(g), "blocker"};
  ASSERT_TRUE(waited_for(g));
  const wait_info wait = test::waits_for(&g).front();
  EXPECT_EQ(wait.kind, agent::kind::task);
  EXPECT_NE(wait.thread, 0U);
  g.wake_one();
  ASSERT_TRUE(waiter.ends());
  EXPECT_EQ(waiter.value(), phase::woken);
}

TEST(wait, errors_say_what_ended_it) {
  EXPECT_EQ(error_of(phase::timed_out), wait_error::timeout);
  EXPECT_EQ(error_of(phase::stopped), wait_error::stopped);
  EXPECT_EQ(error_of(phase::cancelled), wait_error::stopped);
  EXPECT_EQ(error_of(phase::victim), wait_error::deadlock);
  EXPECT_EQ(error_of(phase::closed), wait_error::closed);
}

TEST(wait, wakes_that_race_with_deadlines_are_all_accounted_for) {
  constexpr int rounds = 1'000;
  gate g;
  test::loop_thread loop;
  std::atomic<int> woken{0};
  std::atomic<int> late{0};
  const auto impatient = [](gate& at, std::atomic<int>& w, std::atomic<int>& l) -> task<void> {
    for (int i = 0; i < rounds; ++i) {
      const phase result = co_await at.async_wait(deadline::after(std::chrono::microseconds(20 + i % 50)));
      result == phase::woken ? ++w : ++l;
    }
  };
  started task{loop.where(), impatient(g, woken, late)};
  std::atomic<bool> thread_ended{false};
  std::jthread thread{[&] {
    for (int i = 0; i < rounds; ++i) {
      const phase result = g.wait(deadline::after(std::chrono::microseconds(20 + i % 50)));
      result == phase::woken ? ++woken : ++late;
    }
    thread_ended = true;
  }};
  int wakes = 0;
  while (!task.has_ended() || !thread_ended) wakes += g.wake_one() ? 1 : 0;
  EXPECT_EQ(woken, wakes);
  EXPECT_EQ(woken + late, 2 * rounds);
}

// --- another coroutine type ---

/// A coroutine of another library that carries an agent: all that an awaitable of heddle asks for.
struct own_coroutine {
  struct promise_type {
    heddle::agent self{heddle::agent::kind::task, "foreign", nullptr};
    task_context own_context;
    bool unwound = false;

    own_coroutine get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
    heddle::agent& agent() { return self; }
    const task_context& context() { return own_context; }
    std::coroutine_handle<> unwind() {
      unwound = true;
      return std::noop_coroutine();
    }
  };
  std::coroutine_handle<promise_type> frame;
};
static_assert(agent_promise<own_coroutine::promise_type>);

own_coroutine pass_in_own(gate& g) { (void)co_await g.async_wait(); }

void start(own_coroutine body, executor& where) {
  body.frame.promise().self.move_to(&where);
  const agent_scope scope{body.frame.promise().self};
  body.frame.resume();
}

TEST(wait, any_coroutine_with_an_agent_can_wait) {
  gate g;
  manual_executor ready;
  const own_coroutine body = pass_in_own(g);
  start(body, ready);
  ASSERT_TRUE(waited_for(g));
  EXPECT_EQ(test::waits_for(&g).front().name, "foreign");
  g.wake_one();
  ready.run_all();
  EXPECT_TRUE(body.frame.done());
  body.frame.promise().self.end();
  body.frame.destroy();
}

using wait_misuse = test::misuse;

void destroy_while_it_waits() {
  gate g;
  manual_executor ready;
  const own_coroutine body = pass_in_own(g);
  start(body, ready);
  body.frame.destroy();
}

TEST_F(wait_misuse, destroying_a_task_in_its_wait_is_fatal) {
  EXPECT_DEATH(destroy_while_it_waits(), "a task was destroyed while it waits");
}

}  // namespace
}  // namespace heddle::park
