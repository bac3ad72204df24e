#include <heddle/sync/mutex.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/watch/waits.hpp>
#include <tests/support/no_deadlocks.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <latch>
#include <string>
#include <thread>

namespace heddle {
namespace {

using namespace std::chrono_literals;

bool waits_for(const watch::wait_report& report, const void* resource) {
  return std::ranges::any_of(report.waits, [&](const auto& wait) { return wait.resource == resource; });
}

// Polls until `condition(report)` holds; false after ten seconds.
template <class Condition>
bool eventually(Condition condition) {
  const deadline limit = deadline::after(10s);
  while (!limit.has_passed()) {
    if (condition(watch::waits())) return true;
    std::this_thread::yield();
  }
  return false;
}

TEST(watch, lists_who_waits_for_what_held_by_whom) {
  mutex m{"ledger"};
  std::unique_lock held{m};
  const std::uint32_t holder = m.holder();
  std::thread waiter{[&] { (void)m.lock_until(deadline::after(60s)); }};
  EXPECT_TRUE(eventually([&](const auto& report) { return waits_for(report, &m); }));

  const watch::wait_report report = watch::waits();
  const auto wait = std::ranges::find(report.waits, static_cast<const void*>(&m), &park::wait_info::resource);
  ASSERT_NE(wait, report.waits.end());
  EXPECT_EQ(wait->waits_for, resource_kind::mutex);
  EXPECT_EQ(wait->resource_name, "ledger");
  EXPECT_EQ(wait->holder, holder);
  EXPECT_EQ(wait->kind, agent::kind::thread);
  EXPECT_NE(wait->thread, 0U);
  EXPECT_LE(wait->since, report.at);
  EXPECT_TRUE(wait->until.has_value());
  EXPECT_NE(wait->site.find("waits.test.cpp:"), std::string::npos) << wait->site;
  EXPECT_NE(report.text().find("waits for mutex 'ledger'"), std::string::npos) << report.text();
  held.unlock();
  waiter.join();
  EXPECT_TRUE(watch::waits().waits.empty());
}

TEST(watch, a_chain_is_not_a_deadlock) {
  mutex first;
  mutex second;
  std::unique_lock held{first};
  std::thread middle{[&] {
    const std::lock_guard has{second};
    const std::lock_guard wants{first};
  }};
  EXPECT_TRUE(eventually([&](const auto& report) { return waits_for(report, &first); }));
  std::thread last{[&] { const std::lock_guard wants{second}; }};
  EXPECT_TRUE(eventually([&](const auto& report) { return waits_for(report, &second); }));
  EXPECT_TRUE(watch::waits().deadlocks.empty());
  held.unlock();
  middle.join();
  last.join();
}

TEST(watch, finds_a_deadlock_between_a_thread_and_a_task) {
  const test::makes_deadlocks deliberate;
  mutex left{"left"};
  mutex right{"right"};
  std::stop_source break_it;
  std::latch both_hold{2};

  std::thread thread{[&] {
    const std::lock_guard held{left};
    both_hold.arrive_and_wait();
    (void)right.lock_until(deadline::never(), break_it.get_token());
  }};
  std::thread task_thread{[&] {
    const auto body = [&]() -> task<void> {
      const auto held = co_await right.async_lock();
      both_hold.arrive_and_wait();
      const auto wanted = co_await left.async_lock();
    };
    sync_wait(body());
  }};

  std::string sentence;
  EXPECT_TRUE(eventually([&](const auto& report) {
    if (report.deadlocks.empty()) return false;
    EXPECT_EQ(report.deadlocks.size(), 1U);
    EXPECT_EQ(report.deadlocks.front().edges.size(), 2U);
    EXPECT_FALSE(report.deadlocks.front().until.has_value());
    sentence = report.deadlocks.front().sentence;
    return true;
  }));
  EXPECT_NE(sentence.find("Deadlock of 2: "), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("waits for mutex 'left' held by thread"), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("waits for mutex 'right' held by task"), std::string::npos) << sentence;

  break_it.request_stop();
  thread.join();
  task_thread.join();
  EXPECT_TRUE(watch::waits().deadlocks.empty());
}

}  // namespace
}  // namespace heddle
