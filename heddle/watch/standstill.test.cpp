#include <heddle/sync/condition_variable.hpp>
#include <heddle/sync/semaphore.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/watch/internal/standstill.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>
#include <tests/support/misuse.hpp>
#include <tests/support/waiting.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

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

void wait_for_each_others_signal() {
  settings wanted;
  wanted.log = false;
  configure(wanted);
  const subscription told = on_report([](const report& r) {
    std::fprintf(stderr, "%s\n", r.sentence.c_str());
    if (r.how_sure == confidence::possible) std::_Exit(0);
  });
  semaphore ping{0, "ping"};
  semaphore pong{0, "pong"};
  std::thread one{[&] {
    ping.acquire().use_up();
    pong.release();
  }};
  std::thread two{[&] {
    pong.acquire().use_up();
    ping.release();
  }};
  one.join();  // this thread sleeps until they end
  two.join();
}

// In a process of its own, which ends when it is told.
TEST(standstill, is_told_once_when_it_has_lasted) {
  if (sys::under_tsan)
    GTEST_SKIP() << "ThreadSanitizer has a thread of its own that wakes by itself: nothing stands still";
  EXPECT_EXIT(wait_for_each_others_signal(), testing::ExitedWithCode(0),
              "Possible deadlock: nobody is left who could wake anybody: thread .* waits for semaphore 'p.ng', "
              "thread .* waits for semaphore 'p.ng'");
}

}  // namespace
}  // namespace heddle::watch
