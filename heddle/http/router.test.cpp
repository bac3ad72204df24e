#include <heddle/http/router.hpp>
#include <heddle/task/sync_wait.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace {

using namespace heddle::http;

handler answering(std::string_view text) {
  return
      [body = std::string(text)](call&) -> heddle::task<response> { co_return text_response(200, "text/plain", body); };
}

// The pattern that was found, as segments joined by slashes; or what is allowed.
std::string found(const router& routes, std::string_view method, std::string_view path) {
  const auto target = parse_target(path);
  if (!target) return "bad target";
  const auto result = routes.find(method, *target);
  if (result.match == nullptr) return "allow: " + result.allow;
  std::string out = result.match->method + " ";
  for (const auto& segment : result.match->segments) out += "/" + segment;
  for (const auto& [name, value] : result.values) out.append(" ").append(name).append("=").append(value);
  return out;
}

router shop() {
  router routes;
  routes.add("GET", "/", answering("root"));
  routes.add("GET", "/orders/{id}", answering("order"));
  routes.add("POST", "/orders", answering("new"));
  routes.add("POST", "/orders/{id}/pay", answering("pay"));
  routes.add("GET", "/orders/{id}/{part}", answering("part"));
  routes.add("GET", "/orders/{id}/receipt", answering("receipt"));
  routes.add("GET", "/orders/new", answering("form"));
  return routes;
}

TEST(router, finds_by_method_and_path) {
  const router routes = shop();
  EXPECT_EQ(found(routes, "GET", "/"), "GET /");
  EXPECT_EQ(found(routes, "GET", "/?x=y"), "GET /");
  EXPECT_EQ(found(routes, "POST", "/orders"), "POST /orders");
  EXPECT_EQ(found(routes, "GET", "/orders/7"), "GET /orders/{id} id=7");
  EXPECT_EQ(found(routes, "POST", "/orders/7/pay"), "POST /orders/{id}/pay id=7");
}

TEST(router, literal_segments_win_over_names_in_any_order_of_addition) {
  const router routes = shop();
  EXPECT_EQ(found(routes, "GET", "/orders/new"), "GET /orders/new");
  EXPECT_EQ(found(routes, "GET", "/orders/7/receipt"), "GET /orders/{id}/receipt id=7");
  EXPECT_EQ(found(routes, "GET", "/orders/7/lines"), "GET /orders/{id}/{part} id=7 part=lines");
}

TEST(router, values_are_decoded_and_never_empty) {
  const router routes = shop();
  EXPECT_EQ(found(routes, "GET", "/orders/a%2Fb"), "GET /orders/{id} id=a/b");
  EXPECT_EQ(found(routes, "GET", "/orders/"), "allow: ");
  EXPECT_EQ(found(routes, "GET", "/orders/7/"), "allow: ");
  EXPECT_EQ(found(routes, "GET", "//orders/7"), "allow: ");
}

TEST(router, head_is_answered_by_get) {
  EXPECT_EQ(found(shop(), "HEAD", "/orders/7"), "GET /orders/{id} id=7");
  router routes;
  routes.add("GET", "/", answering("get"));
  routes.add("HEAD", "/", answering("head"));
  EXPECT_EQ(found(routes, "HEAD", "/"), "HEAD /");
}

TEST(router, a_known_path_says_which_methods_it_has) {
  const router routes = shop();
  EXPECT_EQ(found(routes, "DELETE", "/orders/7"), "allow: GET, HEAD");
  EXPECT_EQ(found(routes, "DELETE", "/orders/7/pay"), "allow: GET, HEAD, POST");
  EXPECT_EQ(found(routes, "GET", "/orders"), "allow: POST");
  EXPECT_EQ(found(routes, "get", "/"), "allow: GET, HEAD") << "methods have a case";
  EXPECT_EQ(found(routes, "GET", "/nowhere"), "allow: ");
}

TEST(router, a_call_knows_its_values) {
  call made;
  made.values.emplace_back("id", "7");
  EXPECT_EQ(made.value("id"), "7");
  EXPECT_EQ(made.value("other"), "");
}

TEST(router, what_it_finds_can_be_run) {
  router routes = shop();
  call made;
  auto result = routes.find("GET", *parse_target("/orders/7"));
  ASSERT_NE(result.match, nullptr);
  EXPECT_EQ(heddle::sync_wait(result.match->handler(made)).body, "order");
}

TEST(router_misuse, malformed_and_repeated_patterns_are_fatal) {
  router routes;
  routes.add("GET", "/a/{id}", answering(""));
  EXPECT_DEATH(routes.add("GET", "/a/{other}", answering("")), "added twice");
  for (const char* bad : {"/{", "/{}", "/a{id}", "/{id}b", "/{a}{b}", "/}"}) {
    EXPECT_DEATH(routes.add("GET", bad, answering("")), "literal or") << bad;
  }
  EXPECT_DEATH(routes.add("GET", "a", answering("")), "begins with a slash");
  EXPECT_DEATH(routes.add("GET", "/a?b", answering("")), "is a path");
}

}  // namespace
