// The bank is killed in the middle of the load, and comes back on the same ledger.

#include <storefront/run/whole_support.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <csignal>

namespace storefront::run::test {
namespace {

TEST(storefront_bank_down, orders_stay_payable_and_nothing_is_lost) {
  const scratch_folder folder;
  auto open_bank = [&](std::uint16_t port) {
    return start("storefront-bank",
                 {"--listen", fmt::format("127.0.0.1:{}", port), "--ledger", folder.file("bank.db")});
  };
  std::optional<child> bank{open_bank(0)};
  const std::uint16_t bank_port = port_of(*bank);
  child shop = start("storefront", {"--listen", "127.0.0.1:0", "--store", folder.file("store"), "--bank",
                                    fmt::format("http://127.0.0.1:{}", bank_port), "--stock", "1000000"});
  const std::uint16_t port = port_of(shop);
  child load = start("storefront-load", {"--target",
                                         fmt::format("http://127.0.0.1:{}", port),
                                         "--seconds",
                                         "3600",
                                         "--clients",
                                         "100",
                                         "--rate",
                                         std::to_string(600 / slowness),
                                         "--store",
                                         folder.file("store"),
                                         "--ledger",
                                         folder.file("bank.db"),
                                         "--least-paid",
                                         "60",
                                         "--least-replays",
                                         "0",
                                         "--least-conflicts",
                                         "0",
                                         "--least-contended",
                                         "0"});
  visitor web{port};
  auto paid = [&] { return web.figure("storefront_orders_paid_total"); };
  ASSERT_TRUE(eventually([&] { return paid() >= 50; }));
  bank->send(SIGKILL);
  EXPECT_EQ(bank->wait().signal, SIGKILL);

  const std::string order = web.order();
  ASSERT_NE(order, "") << "orders are taken without the bank";
  const auto refused = web.pay(order, "key-of-the-visitor");
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 503U) << refused->body;
  EXPECT_NE(refused->headers.get("Retry-After"), "");
  EXPECT_EQ(web.state_of(order), "reserved");
  // The visitor's is one of them.
  const std::string refusals = R"(storefront_requests_total{route="POST /orders/{id}/pay",status="503"})";
  ASSERT_TRUE(eventually([&] { return web.figure(refusals) >= 3; })) << "the load must meet the outage, too";

  bank.reset();
  bank.emplace(open_bank(bank_port));
  ASSERT_EQ(port_of(*bank), bank_port);
  EXPECT_TRUE(eventually([&] {
    const auto answer = web.pay(order, "key-of-the-visitor");
    return answer && answer->status == 200;
  }));
  EXPECT_EQ(web.state_of(order), "paid");
  const double before = paid();
  EXPECT_TRUE(eventually([&] { return paid() >= before + 20; })) << "the others can pay again, too";
  load.send(SIGTERM);
  const finished ended = read_to_the_end(load);
  EXPECT_EQ(ended.ended.code, 0) << testing::PrintToString(ended.lines);
  ASSERT_TRUE(ended.figures().is_object());
  EXPECT_EQ(ended.figures().at("invariants"), "held");
  EXPECT_TRUE(ended.says("503 bank-unavailable")) << "the load has met the outage";
}

}  // namespace
}  // namespace storefront::run::test
