#include <gtest/gtest.h>
#include <heddle/exec/internal/ageing_list.hpp>

#include <cstdint>
#include <deque>
#include <vector>

namespace {

using namespace heddle;

struct numbered final : pools::queued_job {
  numbered(int its_number, priority its_rank) : number{its_number} { rank = its_rank; }
  void call() noexcept override {}
  void refuse(job_refused::reason) noexcept override {}
  int number;
};

// Takes all, one by one, while `feed` queues one more with high priority before each; gives how many came before `which`.
int taken_before(pools::ageing_list& list, const numbered& which, std::deque<numbered>& feed) {
  for (int count = 0; count < 100'000; ++count) {
    list.push(feed.emplace_back(-1, priority::high));
    if (list.pop() == &which) return count;
  }
  return -1;
}

TEST(ageing_list, is_first_in_first_out_within_a_priority) {
  pools::ageing_list list;
  std::deque<numbered> jobs;
  for (int i = 0; i < 100; ++i) list.push(jobs.emplace_back(i, priority::normal));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(static_cast<numbered*>(list.pop())->number, i);
  EXPECT_EQ(list.pop(), nullptr);
  EXPECT_EQ(list.length(), 0U);
}

TEST(ageing_list, higher_ones_come_first) {
  pools::ageing_list list;
  numbered low{0, priority::low};
  numbered normal{1, priority::normal};
  numbered high{2, priority::high};
  list.push(low);
  list.push(normal);
  list.push(high);
  EXPECT_EQ(list.urgent(), 1U);
  EXPECT_EQ(list.pop(), &high);
  EXPECT_EQ(list.pop(), &normal);
  EXPECT_EQ(list.pop(), &low);
}

// One comes and one is taken, so each turn offers another with high priority.
TEST(ageing_list, nobody_is_passed_over_by_more_later_ones_than_its_delay) {
  for (const priority rank : {priority::normal, priority::low}) {
    pools::ageing_list list;
    std::deque<numbered> feed;
    numbered waits{0, rank};
    list.push(waits);
    const int before = taken_before(list, waits, feed);
    EXPECT_EQ(before, static_cast<int>(pools::ageing_list::delay[static_cast<std::size_t>(rank)]));
  }
}

// A burst that is queued at once passes no more of them.
TEST(ageing_list, a_burst_does_not_pass_more_either) {
  pools::ageing_list list;
  std::deque<numbered> jobs;
  numbered waits{0, priority::low};
  list.push(waits);
  for (int i = 0; i < 5'000; ++i) list.push(jobs.emplace_back(i, priority::high));
  int before = 0;
  while (list.pop() != &waits) ++before;
  EXPECT_EQ(before, 256);
}

TEST(ageing_list, gives_up_the_oldest_of_the_lowest_first) {
  pools::ageing_list list;
  numbered normal{0, priority::normal};
  numbered low{1, priority::low};
  numbered later{2, priority::low};
  for (numbered* each : {&normal, &low, &later}) list.push(*each);
  EXPECT_EQ(list.pop_least(), &low);
  EXPECT_EQ(list.pop_least(), &later);
  EXPECT_EQ(list.pop_least(), &normal);
  EXPECT_EQ(list.pop_least(), nullptr);
}

}  // namespace
