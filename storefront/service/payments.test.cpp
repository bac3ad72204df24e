#include <storefront/service/test_support.hpp>

#include <heddle/task/when_all.hpp>

#include <gtest/gtest.h>

namespace storefront::test {
namespace {

namespace http = heddle::http;

json problem_of(const http::response& answer) {
  EXPECT_EQ(answer.headers.get("Content-Type"), "application/problem+json") << answer.body;
  return json::parse(answer.body, nullptr, false);
}

TEST(storefront_payments, a_payment_takes_the_money_once) {
  storefront_fixture f;
  const std::string id = f.order(1, 2);
  const http::response paid = f.pay(id, "key-1");
  ASSERT_EQ(paid.status, 200U) << paid.body;
  EXPECT_EQ(json::parse(paid.body).at("state"), "paid");
  EXPECT_EQ(json::parse(f.web.get("/orders/" + id).body), json::parse(paid.body));
  const auto charges = f.gateway.charges();
  ASSERT_EQ(charges.size(), 1U);
  EXPECT_NE(charges.begin()->first, "key-1") << "the bank gets a key of its own";
  EXPECT_EQ(charges.begin()->second.order_id, id);
  EXPECT_EQ(charges.begin()->second.amount_cents, json::parse(paid.body).at("amount_cents"));
  EXPECT_EQ(f.figure("storefront_orders_paid_total"), 1);
}

TEST(storefront_payments, asking_again_gives_the_same_bytes) {
  storefront_fixture f;
  const std::string id = f.order();
  const http::response first = f.pay(id, "key-1");
  ASSERT_EQ(first.status, 200U);
  EXPECT_FALSE(first.headers.contains("Idempotency-Replayed"));
  for (int i = 0; i < 3; ++i) {
    const http::response again = f.pay(id, "key-1");
    EXPECT_EQ(again.status, first.status);
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(again.headers.get("Content-Type"), first.headers.get("Content-Type"));
    EXPECT_EQ(again.headers.get("Idempotency-Replayed"), "true");
  }
  EXPECT_EQ(f.gateway.charges_of(id), 1U);
  EXPECT_EQ(f.figure("storefront_idempotent_replays_total"), 3);
}

TEST(storefront_payments, the_same_bytes_come_after_a_restart_too) {
  const scratch_folder folder;
  test_bank gateway;
  std::string path;
  http::response first;
  {
    service shop{folder.path(), gateway.url()};
    browser web{shop.port()};
    path = "/orders/" +
           json::parse(web.post("/orders", R"({"customer_id":7,"product_id":1,"quantity":1})").body)
               .at("id")
               .get<std::string>() +
           "/pay";
    first = web.post(path, R"({"card":"4242"})", {{"Idempotency-Key", "key-1"}});
    ASSERT_EQ(first.status, 200U);
    shop.kill();
  }
  service shop{folder.path(), gateway.url()};
  browser web{shop.port()};
  const http::response again = web.post(path, R"({"card":"4242"})", {{"Idempotency-Key", "key-1"}});
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(again.headers.get("Idempotency-Replayed"), "true");
  EXPECT_EQ(gateway.charges().size(), 1U);
}

TEST(storefront_payments, a_final_refusal_is_replayed_too) {
  storefront_fixture f;
  const std::string id = f.order();
  f.gateway.be(test_bank::mood::refuses);
  const http::response refused = f.pay(id, "key-1");
  EXPECT_EQ(refused.status, 402U);
  EXPECT_EQ(problem_of(refused).at("type"), "/problems/card-refused");
  f.gateway.be(test_bank::mood::good);
  const http::response again = f.pay(id, "key-1");
  EXPECT_EQ(again.status, 402U);
  EXPECT_EQ(again.body, refused.body);
  EXPECT_EQ(f.pay(id, "key-2").status, 200U) << "the order is payable with another card";
}

TEST(storefront_payments, a_payment_needs_a_key_and_a_card) {
  storefront_fixture f;
  const std::string id = f.order();
  const http::response keyless = f.web.post("/orders/" + id + "/pay", R"({"card":"4242"})");
  EXPECT_EQ(keyless.status, 400U);
  EXPECT_EQ(problem_of(keyless).at("type"), "/problems/idempotency-key-missing");
  EXPECT_EQ(f.pay(id, std::string(201, 'k')).status, 400U);
  const std::pair<const char*, unsigned> bodies[] = {
      {"{", 400}, {"", 400}, {"{}", 422}, {R"({"card":""})", 422}, {R"({"card":7})", 422}};
  for (const auto& [body, status] : bodies) {
    EXPECT_EQ(f.web.post("/orders/" + id + "/pay", body, {{"Idempotency-Key", "key-1"}}).status, status) << body;
  }
  EXPECT_EQ(f.gateway.charges_of(id), 0U);
}

TEST(storefront_payments, a_key_stands_for_one_content) {
  storefront_fixture f;
  const std::string id = f.order();
  const std::string other = f.order();
  ASSERT_EQ(f.pay(id, "key-1", "4242").status, 200U);
  for (const http::response& reused : {f.pay(id, "key-1", "1111"), f.pay(other, "key-1", "4242")}) {
    EXPECT_EQ(reused.status, 422U);
    EXPECT_EQ(problem_of(reused).at("type"), "/problems/idempotency-key-reused");
  }
  EXPECT_EQ(f.gateway.charges().size(), 1U);
}

TEST(storefront_payments, a_key_that_is_being_worked_on_is_told_so) {
  storefront_fixture f;
  const std::string id = f.order();
  f.gateway.close_gate();
  std::thread first{[&] {
    browser other{f.shop.port()};
    EXPECT_EQ(other.post("/orders/" + id + "/pay", R"({"card":"4242"})", {{"Idempotency-Key", "key-1"}}).status, 200U);
  }};
  EXPECT_TRUE(eventually([&] { return f.gateway.at_gate() == 1; }));
  const http::response meanwhile = f.pay(id, "key-1");
  EXPECT_EQ(meanwhile.status, 409U);
  EXPECT_EQ(problem_of(meanwhile).at("type"), "/problems/payment-in-progress");
  EXPECT_TRUE(meanwhile.headers.contains("Retry-After"));
  f.gateway.open_gate();
  first.join();
  EXPECT_EQ(f.gateway.charges_of(id), 1U);
}

TEST(storefront_payments, two_keys_at_once_pay_once) {
  storefront_fixture f;
  for (int round = 0; round < 20; ++round) {
    const std::string id = f.order();
    auto pay = [&](const std::string& key) {
      return f.web.ask("POST", "/orders/" + id + "/pay", R"({"card":"4242"})", {{"Idempotency-Key", key}});
    };
    auto [one, two] = f.web.run(heddle::when_all(pay("a" + id), pay("b" + id)));
    ASSERT_TRUE(one && two);
    EXPECT_EQ(std::min(one->status, two->status), 200U);
    EXPECT_EQ(std::max(one->status, two->status), 409U);
    EXPECT_EQ(f.gateway.charges_of(id), 1U);
  }
  EXPECT_GE(f.figure("storefront_lock_waits_contended_total"), 1);
}

TEST(storefront_payments, paying_and_cancelling_at_once_has_one_winner) {
  storefront_fixture f{{"--products", "1", "--stock", "1000"}};
  std::int64_t sold = 0;
  for (int round = 0; round < 20; ++round) {
    const std::string id = f.order();
    auto [paid, cancelled] = f.web.run(
        heddle::when_all(f.web.ask("POST", "/orders/" + id + "/pay", R"({"card":"4242"})", {{"Idempotency-Key", id}}),
                         f.web.ask("POST", "/orders/" + id + "/cancel")));
    ASSERT_TRUE(paid && cancelled);
    EXPECT_EQ(std::min(paid->status, cancelled->status), 200U);
    EXPECT_EQ(std::max(paid->status, cancelled->status), 409U);
    EXPECT_EQ(f.gateway.charges_of(id), paid->status == 200 ? 1U : 0U);
    sold += paid->status == 200 ? 1 : 0;
  }
  EXPECT_EQ(json::parse(f.web.get("/products").body).at("products")[0].at("stock"), 1'000 - sold);
}

TEST(storefront_payments, a_bank_that_is_down_leaves_the_order_payable) {
  const scratch_folder folder;
  auto gateway = std::make_unique<test_bank>();
  const std::uint16_t port = gateway->port();
  service shop{folder.path(), gateway->url()};
  browser web{shop.port()};
  gateway.reset();
  const http::response made = web.post("/orders", R"({"customer_id":7,"product_id":1,"quantity":1})");
  ASSERT_EQ(made.status, 201U) << "orders need no bank";
  const std::string path = std::string{made.headers.get("Location")};
  auto pay = [&] { return web.post(path + "/pay", R"({"card":"4242"})", {{"Idempotency-Key", "key-1"}}); };
  for (int i = 0; i < 3; ++i) {
    const http::response down = pay();
    EXPECT_EQ(down.status, 503U);
    EXPECT_EQ(problem_of(down).at("type"), "/problems/bank-unavailable");
    EXPECT_TRUE(down.headers.contains("Retry-After"));
  }
  EXPECT_EQ(json::parse(web.get(path).body).at("state"), "reserved");
  gateway = std::make_unique<test_bank>(port);
  EXPECT_EQ(pay().status, 200U);
  EXPECT_EQ(gateway->charges().size(), 1U);
}

TEST(storefront_payments, an_order_can_be_cancelled_when_the_bank_was_never_reached) {
  const scratch_folder folder;
  auto gateway = std::make_unique<test_bank>();
  service shop{folder.path(), gateway->url()};
  browser web{shop.port()};
  gateway.reset();
  const http::response made = web.post("/orders", R"({"customer_id":7,"product_id":1,"quantity":1})");
  const std::string path = std::string{made.headers.get("Location")};
  EXPECT_EQ(web.post(path + "/pay", R"({"card":"4242"})", {{"Idempotency-Key", "key-1"}}).status, 503U);
  EXPECT_EQ(web.post(path + "/cancel", "").status, 200U);
}

TEST(storefront_payments, a_charge_whose_answer_was_lost_is_not_made_again) {
  storefront_fixture f;
  const std::string id = f.order();
  f.gateway.be(test_bank::mood::loses_answer);
  EXPECT_EQ(f.pay(id, "key-1").status, 503U);
  EXPECT_EQ(f.gateway.charges_of(id), 1U);
  f.gateway.be(test_bank::mood::good);
  EXPECT_EQ(f.pay(id, "key-1").status, 200U);
  EXPECT_EQ(f.gateway.charges_of(id), 1U);
}

TEST(storefront_payments, another_key_finds_the_charge_whose_answer_was_lost) {
  storefront_fixture f;
  const std::string id = f.order();
  f.gateway.be(test_bank::mood::loses_answer);
  EXPECT_EQ(f.pay(id, "key-1").status, 503U);
  const http::response doubtful = f.web.post("/orders/" + id + "/cancel", "");
  EXPECT_EQ(doubtful.status, 409U);
  EXPECT_EQ(problem_of(doubtful).at("type"), "/problems/payment-in-doubt");
  f.gateway.be(test_bank::mood::good);
  EXPECT_EQ(f.pay(id, "key-2").status, 409U) << "the first payment went through";
  EXPECT_EQ(f.gateway.charges_of(id), 1U);
  EXPECT_EQ(json::parse(f.web.get("/orders/" + id).body).at("state"), "paid");
  EXPECT_EQ(f.pay(id, "key-1").status, 200U) << "and whoever asked for it is told";
}

TEST(storefront_payments, a_lost_answer_is_found_although_nobody_asks_again) {
  storefront_fixture f;
  const std::string id = f.order();
  f.gateway.be(test_bank::mood::loses_answer);
  EXPECT_EQ(f.pay(id, "key-1").status, 503U);
  EXPECT_EQ(f.figure("storefront_charges_in_doubt"), 1);
  f.gateway.be(test_bank::mood::good);
  EXPECT_TRUE(eventually([&] { return json::parse(f.web.get("/orders/" + id).body).at("state") == "paid"; }));
  EXPECT_EQ(f.gateway.charges_of(id), 1U);
  EXPECT_EQ(f.figure("storefront_charges_in_doubt"), 0);
}

TEST(storefront_payments, a_lost_answer_is_found_after_a_kill) {
  const scratch_folder folder;
  test_bank gateway;
  std::string path;
  {
    service shop{folder.path(), gateway.url()};
    browser web{shop.port()};
    path = std::string{web.post("/orders", R"({"customer_id":7,"product_id":1,"quantity":1})").headers.get("Location")};
    gateway.be(test_bank::mood::loses_answer);
    EXPECT_EQ(web.post(path + "/pay", R"({"card":"4242"})", {{"Idempotency-Key", "key-1"}}).status, 503U);
    shop.kill();
  }
  gateway.be(test_bank::mood::good);
  service shop{folder.path(), gateway.url()};
  browser web{shop.port()};
  EXPECT_TRUE(eventually([&] { return json::parse(web.get(path).body).at("state") == "paid"; }));
  EXPECT_EQ(gateway.charges().size(), 1U);
}

TEST(storefront_payments, a_payment_whose_client_has_gone_is_finished) {
  storefront_fixture f;
  const std::string id = f.order();
  f.gateway.close_gate();
  {
    browser hasty{f.shop.port()};
    hasty.run([](browser& web, test_bank& gateway, std::string path) -> heddle::task<void> {
      co_await heddle::with_scope([&](heddle::scope& children) -> heddle::task<void> {
        children.spawn(web.ask("POST", path, R"({"card":"4242"})", {{"Idempotency-Key", "key-1"}}));
        while (gateway.at_gate() == 0) co_await heddle::this_task::yield();
        children.stop();
      });
    }(hasty, f.gateway, "/orders/" + id + "/pay"));
  }
  f.gateway.open_gate();
  EXPECT_TRUE(eventually([&] { return json::parse(f.web.get("/orders/" + id).body).at("state") == "paid"; }));
  const http::response again = f.pay(id, "key-1");
  EXPECT_EQ(again.status, 200U);
  EXPECT_EQ(again.headers.get("Idempotency-Replayed"), "true");
  EXPECT_EQ(f.gateway.charges_of(id), 1U);
}

}  // namespace
}  // namespace storefront::test
