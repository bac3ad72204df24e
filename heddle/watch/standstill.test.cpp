#include <heddle/watch/internal/standstill.hpp>
#include <heddle/watch/report.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace heddle::watch {
namespace {

using namespace std::chrono_literals;
using time_point = std::chrono::steady_clock::time_point;

const time_point start{1h};

park::agent_view waiting_for(resource_kind kind) {
  park::agent_view view;
  view.waits = true;
  view.wait.agent = 4;
  view.wait.waits_for = kind;
  view.wait.resource_name = "it";
  view.wait.since = start;
  view.now = park::phase::suspended;
  return view;
}

int reports_in_a_second(park::agent_view view) {
  standstill looks;
  int reports = 0;
  for (int i = 0; i < 20; ++i) {
    reports += static_cast<int>(looks.study({{view}, 0}, start + i * 50ms, {}).size());
  }
  EXPECT_FALSE(looks.next_look().has_value());
  return reports;
}

// This thread runs, so none of it is a standstill.
TEST(standstill, is_none_while_somebody_runs) {
  std::jthread running{[](const std::stop_token& stop) {
    while (!stop.stop_requested()) std::this_thread::yield();
  }};
  EXPECT_EQ(reports_in_a_second(waiting_for(resource_kind::condition)), 0);
}

TEST(standstill, is_none_while_a_deadline_or_a_timer_runs) {
  EXPECT_EQ(reports_in_a_second(waiting_for(resource_kind::timer)), 0);
  EXPECT_EQ(reports_in_a_second(waiting_for(resource_kind::socket)), 0);
  park::agent_view with_deadline = waiting_for(resource_kind::condition);
  with_deadline.wait.until = start + 1h;
  EXPECT_EQ(reports_in_a_second(with_deadline), 0);
}

TEST(standstill, is_told_once_when_it_has_lasted) {
  standstill looks{[](const park::picture&) { return true; }};
  std::vector<report> found;
  for (int i = 0; i < 10; ++i) {
    const park::picture seen{{waiting_for(resource_kind::condition)}, 0};
    for (report& each : looks.study(seen, start + i * 50ms, {})) found.push_back(std::move(each));
    EXPECT_EQ(found.empty(), i < 2);
  }
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].how_sure, confidence::possible);
  EXPECT_NE(found[0].sentence.find("nobody is left who could wake anybody: thread 4 waits for condition 'it'"),
            std::string::npos)
      << found[0].sentence;
}

}  // namespace
}  // namespace heddle::watch
