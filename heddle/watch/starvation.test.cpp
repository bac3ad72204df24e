// What the studies make of pictures that were made by hand, and of one real starving thread.

#include <heddle/sync/mutex.hpp>
#include <heddle/watch/internal/inversion.hpp>
#include <heddle/watch/internal/starvation.hpp>
#include <tests/support/waiting.hpp>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <latch>
#include <thread>
#include <vector>

namespace heddle::watch {
namespace {

using namespace std::chrono_literals;
using time_point = std::chrono::steady_clock::time_point;

const char lock_address{};
const time_point start{1h};

park::agent_view waiter(std::uint32_t agent, time_point since, std::uint32_t holder) {
  park::agent_view view;
  view.waits = true;
  view.generation = agent * 100ULL;
  view.wait.agent = agent;
  view.wait.resource = &lock_address;
  view.wait.resource_name = "the lock";
  view.wait.waits_for = resource_kind::mutex;
  view.wait.since = since;
  view.wait.holder = holder;
  return view;
}

park::agent_view holder(std::uint32_t agent, std::uint16_t serial) {
  park::agent_view view;
  view.wait.agent = agent;
  view.wait.name = "hog";
  view.holds.push_back({&lock_address, park::held_as{0}, nullptr, serial});
  return view;
}

TEST(starvation, one_that_is_passed_over_is_told_once) {
  starvation looks;
  std::vector<report> found;
  for (int i = 0; i < 30; ++i) {
    const time_point now = start + 50ms * i;
    const park::picture seen{{waiter(4, start, 7), holder(7, static_cast<std::uint16_t>(i))}, 0};
    for (report& each : looks.study(seen, now, {})) {
      EXPECT_GE(now - start, 500ms);
      found.push_back(std::move(each));
    }
    EXPECT_EQ(looks.next_look().has_value(), found.empty());
  }
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].what, problem::starvation);
  EXPECT_NE(
      found[0].sentence.find("thread 4 waits for mutex 'the lock' since 500.0 ms and has been passed over at least 10 "
                             "times, last by thread 7 'hog'"),
      std::string::npos)
      << found[0].sentence;
}

TEST(starvation, a_long_queue_served_in_order_is_none) {
  starvation looks;
  for (std::uint32_t served = 0; served < 30; ++served) {  // agent 100 came last; 1 to 30 came before it
    park::picture seen;
    seen.agents.push_back(holder(served + 1, 1));
    for (std::uint32_t a = served + 2; a <= 31; ++a) seen.agents.push_back(waiter(a, start + a * 1ms, served + 1));
    seen.agents.push_back(waiter(100, start + 50ms, served + 1));
    EXPECT_TRUE(looks.study(seen, start + 60ms + served * 50ms, {}).empty());
  }
}

TEST(starvation, one_long_hold_is_none) {
  starvation looks;
  for (int i = 0; i < 100; ++i) {
    const park::picture seen{{waiter(4, start, 7), holder(7, 3)}, 0};
    EXPECT_TRUE(looks.study(seen, start + 50ms * i, {}).empty());
  }
}

TEST(inversion, a_waiter_above_its_holder_is_told_once) {
  std::latch niced{1};
  std::atomic<bool> enough{false};
  std::atomic<std::uint32_t> low{0};
  std::jthread lower{[&] {
    low = static_cast<std::uint32_t>(gettid());
    EXPECT_EQ(setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 19), 0);
    niced.count_down();
    while (!enough) std::this_thread::yield();
  }};
  niced.wait();
  inversion looks;
  park::agent_view high = waiter(4, start, 7);
  high.wait.thread = static_cast<std::uint32_t>(gettid());
  park::agent_view below = holder(7, 1);
  below.wait.thread = low;
  const park::picture seen{{high, below}, 0};
  EXPECT_TRUE(looks.study(seen, start + 10ms, {}).empty());
  EXPECT_EQ(looks.next_look(), start + 20ms);
  EXPECT_TRUE(looks.study(seen, start + 17ms, {}).empty());
  EXPECT_TRUE(looks.study(seen, start + 20ms, {}).empty()) << "the ranks may just have changed: it looks again";
  EXPECT_EQ(looks.next_look(), start + 23ms);
  const auto found = looks.study(seen, start + 23ms, {});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NE(found[0].sentence.find("thread 4 (nice 0) waits for mutex 'the lock' since 23.0 ms, held by thread 7 'hog' "
                                   "(nice 19)"),
            std::string::npos)
      << found[0].sentence;
  EXPECT_TRUE(looks.study(seen, start + 30ms, {}).empty());
  enough = true;
}

TEST(inversion, equals_are_nothing) {
  inversion looks;
  park::agent_view high = waiter(4, start, 7);
  park::agent_view below = holder(7, 1);
  high.wait.thread = below.wait.thread = static_cast<std::uint32_t>(gettid());
  EXPECT_TRUE(looks.study({{high, below}, 0}, start + 1h, {}).empty());
}

}  // namespace
}  // namespace heddle::watch
