#include <storefront/service/test_support.hpp>

#include <heddle/task/when_all.hpp>

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

namespace storefront::test {
namespace {

namespace http = heddle::http;

void expect_problem(const http::response& answer, unsigned status, std::string_view type = "about:blank") {
  EXPECT_EQ(answer.status, status) << answer.body;
  EXPECT_EQ(answer.headers.get("Content-Type"), "application/problem+json");
  const json body = json::parse(answer.body, nullptr, false);
  ASSERT_TRUE(body.is_object()) << answer.body;
  EXPECT_EQ(body.at("status"), status);
  EXPECT_EQ(body.at("type"), type);
  EXPECT_FALSE(body.at("title").get<std::string>().empty());
}

TEST(storefront_endpoints, health_is_ok_while_it_serves) {
  storefront_fixture f;
  const http::response answer = f.web.get("/healthz");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body, R"({"status":"ok"})");
}

TEST(storefront_endpoints, products_are_those_of_a_new_store) {
  storefront_fixture f{{"--products", "3", "--stock", "50"}};
  const json products = json::parse(f.web.get("/products").body).at("products");
  ASSERT_EQ(products.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(products[i].at("id"), i + 1);
    EXPECT_EQ(products[i].at("stock"), 50);
    EXPECT_EQ(products[i].at("version"), 1);
    EXPECT_GT(products[i].at("price_cents"), 0);
    EXPECT_FALSE(products[i].at("name").get<std::string>().empty());
  }
}

TEST(storefront_endpoints, an_order_reserves_its_pieces) {
  storefront_fixture f{{"--products", "3", "--stock", "50"}};
  const http::response made = f.web.post("/orders", R"({"customer_id":7,"product_id":2,"quantity":3})");
  ASSERT_EQ(made.status, 201U) << made.body;
  const json order = json::parse(made.body);
  EXPECT_EQ(order.at("state"), "reserved");
  EXPECT_EQ(order.at("customer_id"), 7);
  EXPECT_EQ(order.at("product_id"), 2);
  EXPECT_EQ(order.at("quantity"), 3);
  EXPECT_EQ(made.headers.get("Location"), "/orders/" + order.at("id").get<std::string>());
  const json product = json::parse(f.web.get("/products").body).at("products")[1];
  EXPECT_EQ(product.at("stock"), 47);
  EXPECT_EQ(product.at("version"), 2);
  EXPECT_EQ(order.at("amount_cents"), 3 * product.at("price_cents").get<int>());
  const http::response shown = f.web.get(std::string{made.headers.get("Location")});
  EXPECT_EQ(shown.status, 200U);
  EXPECT_EQ(shown.body, made.body);
}

TEST(storefront_endpoints, an_order_that_makes_no_sense_is_refused) {
  storefront_fixture f{{"--products", "3", "--stock", "50"}};
  expect_problem(f.web.post("/orders", "{"), 400);
  expect_problem(f.web.post("/orders", ""), 400);
  expect_problem(f.web.post("/orders", "[]"), 400);
  for (const char* body :
       {R"({})", R"({"customer_id":7,"product_id":1})", R"({"customer_id":7,"product_id":1,"quantity":0})",
        R"({"customer_id":7,"product_id":1,"quantity":-1})", R"({"customer_id":7,"product_id":1,"quantity":1001})",
        R"({"customer_id":7,"product_id":1,"quantity":99999999999999999999})",
        R"({"customer_id":7,"product_id":1,"quantity":1.5})", R"({"customer_id":7,"product_id":"1","quantity":1})",
        R"({"customer_id":0,"product_id":1,"quantity":1})"}) {
    expect_problem(f.web.post("/orders", body), 422);
  }
  for (const char* body :
       {R"({"customer_id":7,"product_id":4,"quantity":1})", R"({"customer_id":7,"product_id":0,"quantity":1})",
        R"({"customer_id":7,"product_id":-3,"quantity":1})"}) {
    expect_problem(f.web.post("/orders", body), 404, "/problems/unknown-product");
  }
  EXPECT_EQ(f.web.post("/orders", std::string(std::size_t{65} * 1024, ' ')).status, 413U);
}

TEST(storefront_endpoints, more_than_there_is_cannot_be_ordered) {
  storefront_fixture f{{"--products", "1", "--stock", "5"}};
  (void)f.order(1, 4);
  expect_problem(f.web.post("/orders", R"({"customer_id":7,"product_id":1,"quantity":2})"), 409,
                 "/problems/out-of-stock");
  (void)f.order(1, 1);
}

TEST(storefront_endpoints, what_everybody_wants_is_sold_to_the_last_piece_and_not_beyond) {
  storefront_fixture f{{"--products", "1", "--stock", "150"}};
  std::vector<heddle::task<std::expected<http::response, http::client_error>>> wishes;
  for (int i = 0; i < 200; ++i) {
    wishes.push_back(f.web.ask("POST", "/orders", R"({"customer_id":7,"product_id":1,"quantity":1})"));
  }
  int sold = 0;
  for (const auto& answer : f.web.run(heddle::when_all(std::move(wishes)))) {
    ASSERT_TRUE(answer) << answer.error().text;
    if (answer->status == 201) {
      ++sold;
    } else {
      expect_problem(*answer, 409, "/problems/out-of-stock");
    }
  }
  EXPECT_EQ(sold, 150);
  EXPECT_EQ(json::parse(f.web.get("/products").body).at("products")[0].at("stock"), 0);
  EXPECT_GE(f.figure("storefront_version_conflicts_total"), 1) << "they did come into each other's way";
}

TEST(storefront_endpoints, what_is_not_there_is_told) {
  storefront_fixture f;
  expect_problem(f.web.get("/orders/nobody"), 404, "/problems/unknown-order");
  expect_problem(f.web.get("/orders/nobody/receipt"), 404, "/problems/unknown-order");
  expect_problem(f.web.post("/orders/nobody/cancel", ""), 404, "/problems/unknown-order");
  expect_problem(f.pay("nobody", "key-1"), 404, "/problems/unknown-order");
  EXPECT_EQ(f.web.get("/nothing").status, 404U);
  const http::response wrong_method = f.web.post("/products", "");
  EXPECT_EQ(wrong_method.status, 405U);
  EXPECT_TRUE(wrong_method.headers.has_token("Allow", "GET"));
}

TEST(storefront_endpoints, a_cancelled_order_gives_its_pieces_back) {
  storefront_fixture f{{"--products", "1", "--stock", "5"}};
  const std::string id = f.order(1, 4);
  const http::response cancelled = f.web.post("/orders/" + id + "/cancel", "");
  EXPECT_EQ(cancelled.status, 200U);
  EXPECT_EQ(json::parse(cancelled.body).at("state"), "cancelled");
  EXPECT_EQ(json::parse(f.web.get("/products").body).at("products")[0].at("stock"), 5);
  EXPECT_EQ(f.web.post("/orders/" + id + "/cancel", "").status, 200U);
  EXPECT_EQ(json::parse(f.web.get("/products").body).at("products")[0].at("stock"), 5);
  expect_problem(f.pay(id, "key-1"), 409, "/problems/cancelled");
  expect_problem(f.web.get("/orders/" + id + "/receipt"), 409, "/problems/not-paid");
  EXPECT_EQ(f.gateway.charges_of(id), 0U);
}

// Whether `signature` (base64) is the key's over the text, as a stranger would check it.
bool verifies(const std::string& text, const std::string& signature, const std::string& pem) {
  std::vector<unsigned char> raw(signature.size());
  const int size = EVP_DecodeBlock(raw.data(), reinterpret_cast<const unsigned char*>(signature.data()),
                                   static_cast<int>(signature.size()));
  BIO* memory = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* key = PEM_read_bio_PUBKEY(memory, nullptr, nullptr, nullptr);
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  const auto padding = static_cast<int>(std::ranges::count(signature, '='));
  const bool good =
      size == 256 + padding && EVP_PKEY_get_bits(key) == 2048 &&
      EVP_DigestVerifyInit(digest, nullptr, EVP_sha256(), nullptr, key) == 1 &&
      EVP_DigestVerify(digest, raw.data(), 256, reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
  EVP_MD_CTX_free(digest);
  EVP_PKEY_free(key);
  BIO_free(memory);
  return good;
}

TEST(storefront_endpoints, a_receipt_can_be_verified) {
  storefront_fixture f;
  const std::string id = f.order(1, 2);
  expect_problem(f.web.get("/orders/" + id + "/receipt"), 409, "/problems/not-paid");
  ASSERT_EQ(f.pay(id, "key-1").status, 200U);
  const http::response answer = f.web.get("/orders/" + id + "/receipt");
  ASSERT_EQ(answer.status, 200U);
  const json receipt = json::parse(answer.body);
  const std::string text = receipt.at("receipt");
  EXPECT_NE(text.find("order " + id), std::string::npos);
  EXPECT_TRUE(verifies(text, receipt.at("signature"), receipt.at("public_key")));
  EXPECT_FALSE(verifies(text + " ", receipt.at("signature"), receipt.at("public_key")));
}

TEST(storefront_endpoints, a_paid_order_stays_paid) {
  storefront_fixture f;
  const std::string id = f.order();
  ASSERT_EQ(f.pay(id, "key-1").status, 200U);
  expect_problem(f.web.post("/orders/" + id + "/cancel", ""), 409, "/problems/already-paid");
  expect_problem(f.pay(id, "key-2"), 409, "/problems/already-paid");
  EXPECT_EQ(json::parse(f.web.get("/orders/" + id).body).at("state"), "paid");
  EXPECT_EQ(f.gateway.charges_of(id), 1U);
}

TEST(storefront_endpoints, customers_come_in_the_order_of_their_ids) {
  storefront_fixture f;
  const http::response answer = f.web.get("/customers?ids=3,1,404,2");
  ASSERT_EQ(answer.status, 200U) << answer.body;
  EXPECT_EQ(answer.body, R"({"customers":[{"id":3,"name":"Ann 3"},{"id":1,"name":"Ann 1"},{"id":2,"name":"Ann 2"}],)"
                         R"("unknown":[404]})");
  for (const char* ids : {"", "?ids=", "?ids=1,", "?ids=a", "?ids=1,,2", "?ids=-1", "?ids=0"}) {
    expect_problem(f.web.get(std::string{"/customers"} + ids), 400);
  }
  std::string many = "/customers?ids=1";
  for (int i = 0; i < 50; ++i) many += ",1";
  expect_problem(f.web.get(many), 400);
}

TEST(storefront_endpoints, customers_are_asked_for_at_once_and_share_a_deadline) {
  storefront_fixture f;
  f.gateway.close_gate();
  // Answered only when all four have arrived at the bank: so they were on their way at the same time.
  std::thread opener{[&] {
    EXPECT_TRUE(eventually([&] { return f.gateway.at_gate() == 4; }));
    f.gateway.open_gate();
  }};
  EXPECT_EQ(f.web.get("/customers?ids=1,2,3,4").status, 200U);
  opener.join();
}

TEST(storefront_endpoints, a_directory_that_does_not_answer_is_told) {
  storefront_fixture f;
  f.gateway.be(test_bank::mood::fails);
  expect_problem(f.web.get("/customers?ids=1"), 503, "/problems/directory-unavailable");
  f.gateway.be(test_bank::mood::good);
  f.gateway.close_gate();
  expect_problem(f.web.get("/customers?ids=1,2"), 504, "/problems/directory-late");
  f.gateway.open_gate();
}

TEST(storefront_endpoints, waits_are_shown_as_json) {
  storefront_fixture f;
  const http::response answer = f.web.get("/debug/waits");
  ASSERT_EQ(answer.status, 200U);
  const json report = json::parse(answer.body);
  ASSERT_FALSE(report.at("waits").empty());
  EXPECT_TRUE(report.at("edges").is_array());
  EXPECT_TRUE(report.at("problems").is_array());
  bool signal = false;
  for (const json& wait : report.at("waits")) signal = signal || wait.at("resource").at("kind") == "signal";
  EXPECT_TRUE(signal) << "the task that waits for SIGTERM stands in the list";
}

TEST(storefront_endpoints, metrics_count_requests_by_route_and_status) {
  storefront_fixture f;
  (void)f.web.get("/products");
  (void)f.web.get("/products");
  (void)f.web.get("/orders/nobody");
  EXPECT_EQ(f.figure(R"(storefront_requests_total{route="GET /products",status="200"})"), 2);
  EXPECT_EQ(f.figure(R"(storefront_requests_total{route="GET /orders/{id}",status="404"})"), 1);
  EXPECT_EQ(f.figure(R"(storefront_request_seconds_count{route="GET /products"})"), 2);
  EXPECT_EQ(f.figure(R"(heddle_problems_total{kind="deadlock"})"), 0);
  for (const char* name : {"storefront_version_conflicts_total", "storefront_lock_waits_contended_total",
                           "storefront_idempotent_replays_total", "storefront_orders_paid_total"}) {
    EXPECT_EQ(f.figure(name), 0) << name;
  }
}

TEST(storefront_endpoints, the_page_asks_for_figures_and_waits) {
  storefront_fixture f;
  const http::response answer = f.web.get("/");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_TRUE(answer.headers.get("Content-Type").starts_with("text/html"));
  EXPECT_NE(answer.body.find("/debug/waits"), std::string::npos);
}

}  // namespace
}  // namespace storefront::test
