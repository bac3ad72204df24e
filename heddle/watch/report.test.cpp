#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

namespace heddle::watch {
namespace {

using namespace std::chrono_literals;

void be_quiet() {
  settings wanted;
  wanted.log = false;
  configure(wanted);
}

report something(std::string sentence = "Something is wrong.") {
  report r;
  r.what = problem::livelock;
  r.sentence = std::move(sentence);
  r.at = std::chrono::steady_clock::now();
  return r;
}

TEST(report, the_text_says_everything) {
  report r = something("Deadlock: of a kind.");
  edge e;
  e.wait.agent = 4;
  e.wait.name = "payer";
  e.wait.kind = agent::kind::task;
  e.wait.waits_for = resource_kind::mutex;
  e.wait.resource_name = "ledger";
  e.wait.since = r.at - 12ms;
  e.wait.until = r.at + 40ms;
  e.wait.site = "pay.cpp:40";
  e.other_name = "thread 7 'clerk'";
  e.taken_at = "clerk.cpp:12 (file_it)";
  e.held_for = 15ms;
  e.stack = {"pay.cpp:40 (pay)", "main.cpp:9 (main)"};
  r.edges = {e};
  r.behind = {e.wait};
  r.details = {"a further line"};
  r.advice = "do better.";
  const std::string text = r.text();
  for (const char* part :
       {"Deadlock: of a kind.", "task 4 'payer' waits for mutex 'ledger' since 12.0 ms, at pay.cpp:40",
        "held by thread 7 'clerk', taken at clerk.cpp:12 (file_it), held for at least 15.0 ms, gives up in 40.0 ms",
        "main.cpp:9 (main)", "behind it: task 4 'payer'", "a further line", "To do: do better."}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\nis missing in\n" << text;
  }
}

TEST(report, reaches_each_handler_once) {
  be_quiet();
  int one = 0;
  int two = 0;
  const subscription first = on_report([&](const report& r) { one += r.sentence == "Something is wrong." ? 1 : 0; });
  const subscription second = on_report([&](const report&) { ++two; });
  const auto before = report_counts();
  deliver(something());
  EXPECT_EQ(one, 1);
  EXPECT_EQ(two, 1);
  const auto kind = static_cast<std::size_t>(problem::livelock);
  EXPECT_EQ(report_counts().at(kind), before.at(kind) + 1);
}

TEST(report, a_handler_that_is_gone_is_not_called) {
  be_quiet();
  int calls = 0;
  {
    subscription gone = on_report([&](const report&) { ++calls; });
    subscription moved = std::move(gone);
    deliver(something());
  }
  deliver(something());
  EXPECT_EQ(calls, 1);

  subscription itself;
  itself = on_report([&](const report&) {
    ++calls;
    itself = {};
  });
  deliver(something());
  deliver(something());
  EXPECT_EQ(calls, 2);
}

TEST(report, recent_ones_are_kept) {
  be_quiet();
  for (int i = 0; i < 40; ++i) deliver(something("number " + std::to_string(i)));
  const auto recent = recent_reports();
  ASSERT_EQ(recent.size(), 32U);
  EXPECT_EQ(recent.front().sentence, "number 8");
  EXPECT_EQ(recent.back().sentence, "number 39");
}

TEST(watch_settings, the_environment_decides_how_a_program_begins) {
  const auto as = [](const char* word) {
    setenv("HEDDLE_WATCH", word, 1);
    const settings result = settings::from_environment();
    unsetenv("HEDDLE_WATCH");
    return result;
  };
  EXPECT_FALSE(as("off").deadlocks);
  EXPECT_FALSE(as("off").stalls);
  EXPECT_EQ(as("break").on_deadlock, policy::break_it);
  EXPECT_EQ(as("abort").on_deadlock, policy::abort);
  EXPECT_EQ(as("report").on_deadlock, policy::report_only);
  testing::internal::CaptureStderr();
  EXPECT_TRUE(as("loudly").deadlocks);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("HEDDLE_WATCH=loudly means nothing"), std::string::npos);
  EXPECT_TRUE(settings::from_environment().deadlocks);
}

}  // namespace
}  // namespace heddle::watch
