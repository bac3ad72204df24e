// How the program begins and ends.

#include <storefront/service/test_support.hpp>

#include <heddle/task/scope.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>

namespace storefront::test {
namespace {

namespace http = heddle::http;

// The program ends with exit code 2 and one sentence on standard error.
void expect_one_sentence(const finished& ended, const std::string& contains) {
  EXPECT_EQ(ended.code, 2) << ended.errors;
  EXPECT_TRUE(ended.errors.starts_with("storefront: ")) << ended.errors;
  EXPECT_EQ(std::ranges::count(ended.errors, '\n'), 1) << ended.errors;
  EXPECT_NE(ended.errors.find(contains), std::string::npos) << ended.errors;
  EXPECT_EQ(ended.output, "");
}

TEST(storefront_life, help_names_every_option) {
  const finished help = run({service_program(), "--help"});
  EXPECT_EQ(help.code, 0);
  for (const char* option : {"--listen", "--store", "--bank", "--products", "--stock", "--unsafe", "--ready-fd"}) {
    EXPECT_NE(help.output.find(option), std::string::npos) << option;
  }
}

TEST(storefront_life, a_wrong_option_is_told) {
  EXPECT_EQ(run({service_program(), "--nonsense"}).code, 2);
  EXPECT_EQ(run({service_program(), "--listen", "nowhere"}).code, 2);
  EXPECT_EQ(run({service_program(), "--bank", "ftp://localhost:1"}).code, 2);
  EXPECT_EQ(run({service_program(), "--unsafe=everything"}).code, 2);
}

TEST(storefront_life, a_port_in_use_is_told) {
  storefront_fixture f;
  const std::string taken = "127.0.0.1:" + std::to_string(f.shop.port());
  expect_one_sentence(run({service_program(), "--listen", taken, "--store", (f.folder.path() / "other").string()}),
                      "cannot listen on " + taken);
}

TEST(storefront_life, a_second_instance_on_the_same_store_is_told) {
  storefront_fixture f;
  expect_one_sentence(
      run({service_program(), "--listen", "127.0.0.1:0", "--store", (f.folder.path() / "store").string()}),
      std::to_string(f.shop.process().process()));
  EXPECT_EQ(f.web.get("/healthz").status, 200U) << "the first one does not notice";
}

TEST(storefront_life, an_unreadable_store_is_told) {
  const scratch_folder folder;
  std::filesystem::create_directories(folder.path() / "store");
  std::ofstream{folder.path() / "store" / "store.db"} << std::string(10'000, 'x');
  expect_one_sentence(
      run({service_program(), "--listen", "127.0.0.1:0", "--store", (folder.path() / "store").string()}), "store.db");
  std::ofstream{folder.path() / "file"} << "x";
  expect_one_sentence(
      run({service_program(), "--listen", "127.0.0.1:0", "--store", (folder.path() / "file" / "store").string()}),
      (folder.path() / "file" / "store").string());
}

TEST(storefront_life, a_broken_receipt_key_is_told) {
  const scratch_folder folder;
  std::ofstream{folder.path() / "receipts.pem"} << "no key";
  expect_one_sentence(run({service_program(), "--listen", "127.0.0.1:0", "--store", folder.path().string()}),
                      "receipts.pem");
}

TEST(storefront_life, signals_end_it_in_good_order) {
  for (const int number : {SIGTERM, SIGINT}) {
    storefront_fixture f;
    EXPECT_EQ(f.web.get("/healthz").status, 200U);
    f.shop.process().signal(number);
    EXPECT_EQ(f.shop.process().wait(), 0) << f.shop.process().errors();
  }
}

TEST(storefront_life, what_was_asked_before_the_signal_is_answered) {
  storefront_fixture f{{"--verbose"}};
  const std::string id = f.order();
  f.gateway.close_gate();
  std::thread client{[&] {
    browser other{f.shop.port()};
    EXPECT_EQ(other.post("/orders/" + id + "/pay", R"({"card":"4242"})", {{"Idempotency-Key", "key-1"}}).status, 200U);
  }};
  EXPECT_TRUE(eventually([&] { return f.gateway.at_gate() == 1; }));
  f.shop.process().signal(SIGTERM);
  EXPECT_TRUE(eventually([&] { return f.shop.process().errors().find("draining") != std::string::npos; }));
  f.gateway.open_gate();
  client.join();
  EXPECT_EQ(f.shop.process().wait(), 0);
}

TEST(storefront_life, nobody_can_hold_up_the_end) {
  storefront_fixture f{{"--drain-ms", "200"}};
  const std::string id = f.order();
  f.gateway.close_gate();
  std::thread client{[&] {
    browser other{f.shop.port()};
    (void)other.run(other.ask("POST", "/orders/" + id + "/pay", R"({"card":"4242"})", {{"Idempotency-Key", "key-1"}}));
  }};
  EXPECT_TRUE(eventually([&] { return f.gateway.at_gate() == 1; }));
  EXPECT_EQ(f.shop.stop(), 0);
  client.join();
  f.gateway.open_gate();
}

TEST(storefront_life, the_descriptor_that_was_asked_for_gets_the_line) {
  const scratch_folder folder;
  program shop{{service_program(), "--listen", "127.0.0.1:0", "--store", folder.path().string(), "--ready-fd", "2"}};
  EXPECT_TRUE(eventually([&] { return shop.errors().find("listening on http://127.0.0.1:") != std::string::npos; }));
  EXPECT_EQ(shop.output(), "");
  shop.signal(SIGTERM);
  EXPECT_EQ(shop.wait(), 0);
}

}  // namespace
}  // namespace storefront::test
