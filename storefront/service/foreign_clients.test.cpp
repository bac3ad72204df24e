// Programs that others wrote work against the service.

#include <storefront/service/test_support.hpp>

#include <gtest/gtest.h>

#include <regex>

namespace storefront::test {
namespace {

TEST(storefront_foreign_clients, curl_buys_something) {
  storefront_fixture f;
  const std::string url = f.shop.url();
  auto curl = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"curl", "--silent", "--show-error", "--fail", "--max-time", "30"});
    const finished ended = run(arguments);
    EXPECT_EQ(ended.code, 0) << ended.errors;
    return ended.output;
  };
  EXPECT_EQ(curl({url + "/healthz"}), R"({"status":"ok"})");
  const json order = json::parse(curl({"--json", R"({"customer_id":7,"product_id":1,"quantity":2})", url + "/orders"}));
  const std::string id = order.at("id");
  const std::string pay_url = url + "/orders/" + id + "/pay";
  // In chunks, on one connection, with a head that asks for 100-continue first.
  const std::string paid = curl({"--header", "Transfer-Encoding: chunked", "--header", "Expect: 100-continue",
                                 "--header", "Idempotency-Key: by-curl", "--data", R"({"card":"4242"})", pay_url});
  EXPECT_EQ(json::parse(paid).at("state"), "paid");
  EXPECT_EQ(curl({"--header", "Idempotency-Key: by-curl", "--data", R"({"card":"4242"})", pay_url}), paid);
  EXPECT_NE(curl({"--head", url + "/products"}).find("HTTP/1.1 200"), std::string::npos);
  EXPECT_EQ(f.gateway.charges_of(id), 1U);
}

TEST(storefront_foreign_clients, wrk_gets_only_good_answers) {
  storefront_fixture f;
  const finished ended =
      run({"wrk", "--threads", "1", "--connections", "50", "--duration", "2s", f.shop.url() + "/products"});
  EXPECT_EQ(ended.code, 0) << ended.errors;
  std::smatch found;
  ASSERT_TRUE(std::regex_search(ended.output, found, std::regex{"(\\d+) requests in"})) << ended.output;
  const double answered = f.figure(R"(storefront_requests_total{route="GET /products",status="200"})");
  EXPECT_GE(answered, std::stod(found[1]));
  EXPECT_GT(answered, 100);
  EXPECT_EQ(ended.output.find("Non-2xx"), std::string::npos) << ended.output;
  EXPECT_EQ(ended.output.find("Socket errors"), std::string::npos) << ended.output;
}

}  // namespace
}  // namespace storefront::test
