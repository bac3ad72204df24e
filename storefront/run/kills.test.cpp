// kill -9 of the storefront in the middle of the load, again and again on one store.

#include <storefront/run/whole_support.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <csignal>

namespace storefront::run::test {
namespace {

constexpr int kills = 10;
constexpr double payments_before_a_kill = 100;

TEST(storefront_kills, ten_kills_in_the_middle_of_the_load_lose_and_double_nothing) {
  const scratch_folder folder;
  child bank =
      start("storefront-bank", {"--listen", "127.0.0.1:0", "--ledger", folder.file("bank.db"), "--faults", "5"});
  const std::string bank_url = fmt::format("http://127.0.0.1:{}", port_of(bank));
  auto open = [&](std::uint16_t port) {
    return start("storefront", {"--listen", fmt::format("127.0.0.1:{}", port), "--store", folder.file("store"),
                                "--bank", bank_url, "--stock", "1000000"});
  };
  std::optional<child> shop{open(0)};
  const std::uint16_t port = port_of(*shop);
  child load = start("storefront-load", {"--target",
                                         fmt::format("http://127.0.0.1:{}", port),
                                         "--expect-crashes",
                                         "--seconds",
                                         "3600",
                                         "--clients",
                                         "100",
                                         "--rate",
                                         std::to_string(2'000 / slowness),
                                         "--store",
                                         folder.file("store"),
                                         "--ledger",
                                         folder.file("bank.db"),
                                         "--least-paid",
                                         "1000",
                                         "--least-replays",
                                         "0",
                                         "--least-conflicts",
                                         "0",
                                         "--least-contended",
                                         "0"});
  visitor web{port};
  auto busy = [&] {
    return eventually([&] { return web.figure("storefront_orders_paid_total") >= payments_before_a_kill; });
  };
  for (int i = 0; i < kills; ++i) {
    ASSERT_TRUE(busy()) << "kill " << i;
    ASSERT_TRUE(load.running());
    shop->send(SIGKILL);
    EXPECT_EQ(shop->wait().signal, SIGKILL);
    shop.reset();
    shop.emplace(open(port));
    ASSERT_EQ(port_of(*shop), port);
  }
  ASSERT_TRUE(busy());
  load.send(SIGTERM);
  const finished ended = read_to_the_end(load);
  EXPECT_EQ(ended.ended.code, 0) << testing::PrintToString(ended.lines);
  const json figures = ended.figures();
  ASSERT_TRUE(figures.is_object()) << testing::PrintToString(ended.lines);
  EXPECT_EQ(figures.at("invariants"), "held") << testing::PrintToString(ended.lines);
  EXPECT_GT(figures.at("injected"), 0);
  fmt::print("{}\n", figures.dump());
  EXPECT_TRUE(shop->end(std::chrono::seconds{60}).fine());
}

}  // namespace
}  // namespace storefront::run::test
