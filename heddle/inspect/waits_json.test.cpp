#include <heddle/inspect/waits_json.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace heddle {
namespace {

using namespace std::chrono_literals;

TEST(waits_json, has_the_format_of_its_contract) {
  watch::wait_report report;
  report.at = std::chrono::steady_clock::now();
  report.agents = 5;
  park::wait_info held;
  held.agent = 4;
  held.kind = agent::kind::task;
  held.name = "order \"17\"";
  held.waits_for = resource_kind::mutex;
  held.resource = &report;
  held.resource_name = "ledger";
  held.holder = 7;
  held.since = report.at - 12ms;
  held.site = "storefront/orders.cpp:40";
  park::wait_info timed;
  timed.agent = 9;
  timed.thread = 1234;
  timed.waits_for = resource_kind::semaphore;
  timed.since = report.at - 1ms;
  timed.until = report.at + 250ms;
  report.waits = {held, timed};
  watch::report circle;
  circle.edges.emplace_back().wait = held;
  report.deadlocks = {circle};

  std::vector<watch::report> problems(2);
  problems[1].what = watch::problem::lock_order;
  problems[1].how_sure = watch::confidence::possible;
  problems[1].sentence = "Locks are taken in contradicting orders.";
  problems[1].advice = "take them in one.";
  problems[1].at = report.at - 2s;

  const auto json = nlohmann::json::parse(inspect::waits_json(report, problems));
  ASSERT_EQ(json["problems"].size(), 2U);
  const auto& newest = json["problems"][0];
  EXPECT_EQ(newest["kind"], "lock order");
  EXPECT_EQ(newest["confidence"], "possible");
  EXPECT_EQ(newest["sentence"], "Locks are taken in contradicting orders.");
  EXPECT_EQ(newest["advice"], "take them in one.");
  EXPECT_NE(newest["text"].get<std::string>().find("To do: take them in one."), std::string::npos);
  EXPECT_NEAR(newest["age_ms"].get<double>(), 2000, 0.01);
  EXPECT_EQ(json["problems"][1]["kind"], "deadlock");
  EXPECT_EQ(json["agents"], 5);
  EXPECT_EQ(json["torn"], 0);
  ASSERT_EQ(json["waits"].size(), 2U);
  const auto& first = json["waits"][0];
  EXPECT_EQ(first["agent"], 4);
  EXPECT_EQ(first["kind"], "task");
  EXPECT_EQ(first["name"], "order \"17\"");
  EXPECT_EQ(first["resource"]["kind"], "mutex");
  EXPECT_EQ(first["resource"]["name"], "ledger");
  EXPECT_EQ(first["holder"], 7);
  EXPECT_NEAR(first["age_ms"].get<double>(), 12.0, 0.01);
  EXPECT_TRUE(first["deadline_in_ms"].is_null());
  EXPECT_EQ(first["site"], "storefront/orders.cpp:40");
  const auto& second = json["waits"][1];
  EXPECT_EQ(second["kind"], "thread");
  EXPECT_EQ(second["thread"], 1234);
  EXPECT_TRUE(second["holder"].is_null());
  EXPECT_NEAR(second["deadline_in_ms"].get<double>(), 250.0, 0.01);
  ASSERT_EQ(json["edges"].size(), 1U);
  EXPECT_EQ(json["edges"][0]["from"], 4);
  EXPECT_EQ(json["edges"][0]["to"], 7);
  ASSERT_EQ(json["deadlocks"].size(), 1U);
  EXPECT_EQ(json["deadlocks"][0]["agents"][0], 4);
}

TEST(waits_json, broken_utf8_in_a_name_does_not_break_the_json) {
  watch::wait_report report;
  park::wait_info wait;
  wait.name = "half \xc3";
  report.waits = {wait};
  EXPECT_NO_THROW((void)nlohmann::json::parse(inspect::waits_json(report)));
}

}  // namespace
}  // namespace heddle
