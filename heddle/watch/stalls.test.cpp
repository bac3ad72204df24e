#include <heddle/exec/thread_pool.hpp>
#include <heddle/watch/internal/stalls.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>
#include <tests/support/waiting.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <vector>

namespace heddle::watch {
namespace {

using namespace std::chrono_literals;
using time_point = std::chrono::steady_clock::time_point;

const time_point start{1h};
const char some_executor{};

running_threads::one running(std::uint64_t items) { return {1'000'000'000, "pool", &some_executor, items}; }

TEST(stalls, one_item_that_runs_for_too_long_is_told_once) {
  stalls looks;
  std::vector<report> found;
  for (int i = 0; i < 10; ++i) {
    for (report& each : looks.study({running(7)}, {}, start + i * 250ms, {})) found.push_back(std::move(each));
    EXPECT_EQ(found.empty(), i < 2);
  }
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NE(found[0].sentence.find("a thread of 'pool' (1000000000) has run one item for at least 500.0 ms"),
            std::string::npos)
      << found[0].sentence;
}

TEST(stalls, many_short_items_are_nothing) {
  stalls looks;
  for (std::uint64_t i = 0; i < 20; ++i) {
    EXPECT_TRUE(looks.study({running(2 * i + 1)}, {}, start + i * 250ms, {}).empty());
  }
}

park::agent_view waiting(agent::kind kind) {
  park::agent_view view;
  view.waits = view.blocks_thread = true;
  view.wait.kind = kind;
  view.wait.agent = 9;
  view.wait.name = "order";
  view.wait.thread = 1'000'000'000;
  view.wait.waits_for = resource_kind::mutex;
  view.wait.resource_name = "ledger";
  view.wait.site = "pay.cpp:40";
  view.wait.since = start;
  return view;
}

TEST(stalls, a_task_that_blocks_its_thread_is_told_with_the_place) {
  stalls looks;
  const park::picture seen{{waiting(agent::kind::task)}, 0};
  EXPECT_TRUE(looks.study({running(7)}, seen, start, {}).empty());
  const auto found = looks.study({running(7)}, seen, start + 600ms, {});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NE(
      found[0].sentence.find("task 9 'order' blocks a thread of 'pool' (1000000000) since 600.0 ms, as it waits for "
                             "mutex 'ledger' at pay.cpp:40"),
      std::string::npos)
      << found[0].sentence;
}

TEST(stalls, a_job_that_waits_is_none_nor_is_a_replaced_one) {
  stalls looks;
  park::agent_view replaced = waiting(agent::kind::task);
  replaced.replaced = true;
  for (const park::agent_view& view : {waiting(agent::kind::thread), replaced}) {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(looks.study({running(7)}, {{view}, 0}, start + i * 250ms, {}).empty());
  }
}

std::atomic<bool> enough{false};

[[gnu::noinline]] void compute_until_enough() {
  while (!enough) {
  }
}

TEST(stalls, are_told_of_a_real_pool_with_the_stack_of_the_moment) {
  settings wanted;
  wanted.log = false;
  wanted.stalls_after = 40ms;
  configure(wanted);
  std::mutex lock;
  std::vector<report> found;
  const subscription told = on_report([&](const report& r) {
    const std::lock_guard guard{lock};
    if (r.what == problem::stall) found.push_back(r);
  });
  {
    thread_pool pool{{.threads = 1, .name = "the pool"}};
    pool.post(compute_until_enough);
    EXPECT_TRUE(test::eventually([&] {
      const std::lock_guard guard{lock};
      return !found.empty();
    }));
    enough = true;
  }
  configure(settings::from_environment());
  const std::lock_guard guard{lock};
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NE(found[0].sentence.find("a thread of 'the pool'"), std::string::npos) << found[0].sentence;
  EXPECT_NE(found[0].text().find("compute_until_enough"), std::string::npos) << found[0].text();
}

}  // namespace
}  // namespace heddle::watch
