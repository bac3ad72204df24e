#include <heddle/http/message.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace {

using namespace heddle::http;

request with(version spoken, std::string_view connection) {
  request made;
  made.version = spoken;
  if (!connection.empty()) made.headers.add("Connection", connection);
  return made;
}

TEST(message, http_1_1_is_kept_alive_unless_it_says_close) {
  EXPECT_TRUE(keep_alive(with(version::http_1_1, "")));
  EXPECT_TRUE(keep_alive(with(version::http_1_1, "keep-alive")));
  EXPECT_TRUE(keep_alive(with(version::http_1_1, "upgrade")));
  EXPECT_FALSE(keep_alive(with(version::http_1_1, "close")));
  EXPECT_FALSE(keep_alive(with(version::http_1_1, "TE, Close")));
  EXPECT_FALSE(keep_alive(with(version::http_1_1, "keep-alive, close")));
}

TEST(message, http_1_0_is_closed_unless_it_says_keep_alive) {
  EXPECT_FALSE(keep_alive(with(version::http_1_0, "")));
  EXPECT_TRUE(keep_alive(with(version::http_1_0, "Keep-Alive")));
  EXPECT_FALSE(keep_alive(with(version::http_1_0, "close")));
  EXPECT_FALSE(keep_alive(with(version::http_1_0, "keep-alive, close")));
  response answer;
  EXPECT_TRUE(keep_alive(answer));
  answer.version = version::http_1_0;
  EXPECT_FALSE(keep_alive(answer));
}

TEST(message, only_http_1_1_expects_continue) {
  request made;
  EXPECT_FALSE(expects_continue(made));
  made.headers.add("Expect", "100-Continue");
  EXPECT_TRUE(expects_continue(made));
  made.version = version::http_1_0;
  EXPECT_FALSE(expects_continue(made));
}

TEST(message, a_problem_is_json_as_rfc_9457_has_it) {
  const response made = problem(409, "Order is being paid", "order \"7\"\nis busy");
  EXPECT_EQ(made.status, 409U);
  EXPECT_EQ(made.headers.get("content-type"), "application/problem+json");
  EXPECT_EQ(made.body, R"({"type":"about:blank","title":"Order is being paid","status":409,)"
                       R"("detail":"order \"7\"\nis busy"})");
}

TEST(message, a_problem_without_title_takes_the_reason_and_without_detail_has_none) {
  EXPECT_EQ(problem(404).body, R"({"type":"about:blank","title":"Not Found","status":404})");
}

TEST(message, a_problem_takes_any_bytes) {
  const std::string body = problem(400, "x", std::string("\xff\0\x01", 3)).body;
  const auto parsed = nlohmann::json::parse(body, nullptr, false);
  ASSERT_FALSE(parsed.is_discarded()) << body;
  EXPECT_EQ(parsed["detail"], std::string("\xef\xbf\xbd\0\x01", 5));
}

TEST(message, statuses_have_their_usual_reasons) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(404), "Not Found");
  EXPECT_EQ(reason_phrase(503), "Service Unavailable");
  EXPECT_EQ(reason_phrase(299), "");
}

}  // namespace
