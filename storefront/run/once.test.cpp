// `./run --once` in small: what it prints, and with which code it ends.

#include <storefront/run/whole_support.hpp>

#include <gtest/gtest.h>

#include <set>

namespace storefront::run::test {
namespace {

// What the last line must have, and what it may have besides.
const std::set<std::string> due{"requests", "requests_per_s", "p50_ms",       "p99_ms",
                                "errors",   "paid_orders",    "lost_charges", "double_charges",
                                "oversold", "journal_gaps",   "invariants"};
const std::set<std::string> besides{"ok",        "injected",  "unanswered",    "replays",      "conflicts",
                                    "contended", "forgotten", "p99_faults_ms", "writes_per_s", "seconds"};

std::vector<std::string> small_run(const char* seconds, int rate, std::vector<std::string> more) {
  std::vector<std::string> all{"--once",    "--no-tour", "--seconds",       seconds, "--rate", std::to_string(rate),
                               "--clients", "100",       "--clean-seconds", "2"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

TEST(storefront_once, a_short_run_holds_and_ends_with_its_figures_as_one_line_of_json) {
  const std::string paid = std::to_string(300 / slowness);
  const finished ended = run("storefront-run", small_run("6", 800 / slowness,
                                                         {"--port", "0", "--least-paid", paid, "--least-replays", "5",
                                                          "--least-conflicts", "0", "--least-contended", "0"}));
  EXPECT_EQ(ended.ended.code, 0) << testing::PrintToString(ended.lines);
  const json figures = ended.figures();
  ASSERT_TRUE(figures.is_object()) << testing::PrintToString(ended.lines);
  std::set<std::string> keys;
  for (const auto& [key, value] : figures.items()) keys.insert(key);
  std::set<std::string> all = due;
  all.insert(besides.begin(), besides.end());
  EXPECT_EQ(keys, all);
  EXPECT_EQ(figures.at("invariants"), "held");
  for (const char* none : {"double_charges", "lost_charges", "oversold", "journal_gaps", "forgotten", "unanswered"}) {
    EXPECT_EQ(figures.at(none), 0) << none;
  }
  EXPECT_EQ(figures.at("requests"),
            figures.at("ok").get<int>() + figures.at("injected").get<int>() + figures.at("errors").get<int>());
  EXPECT_GE(figures.at("paid_orders"), 300 / slowness);
  EXPECT_TRUE(ended.says("POST /orders/{id}/pay")) << "the table by endpoint";
  EXPECT_TRUE(ended.says("where to look next: "));
}

TEST(storefront_once, too_little_load_proves_nothing) {
  const finished ended = run("storefront-run", small_run("1", 50, {"--port", "0"}));
  EXPECT_EQ(ended.ended.code, 3) << testing::PrintToString(ended.lines);
  EXPECT_TRUE(ended.says("the load proved nothing: "));
  EXPECT_TRUE(ended.says("paid orders, at least 2000 are needed"));
  ASSERT_TRUE(ended.figures().is_object());
  EXPECT_EQ(ended.figures().at("invariants"), "held");
}

TEST(storefront_once, help_says_what_the_exit_codes_mean) {
  for (const char* program : {"storefront-run", "storefront-load", "storefront-bank", "storefront"}) {
    EXPECT_EQ(run(program, {"--help"}).ended.code, 0) << program;
  }
  const finished help = run("storefront-run", {"--help"});
  for (const char* text : {"--once", "--seconds", "--clients", "--rate", "--seed", "--unsafe", "--port", "--no-tour",
                           "the load proved nothing"}) {
    EXPECT_TRUE(help.says(text)) << text;
  }
}

TEST(storefront_once, wrong_options_end_it_with_code_2) {
  EXPECT_EQ(run("storefront-run", {"--nonsense"}).ended.code, 2);
  EXPECT_EQ(run("storefront-run", {"--clients", "0"}).ended.code, 2);
  EXPECT_EQ(run("storefront-run", {"--unsafe=everything"}).ended.code, 2);
  EXPECT_EQ(run("storefront-run", {"--port", "70000"}).ended.code, 2);
  EXPECT_EQ(run("storefront-load", {"--target", "nowhere"}).ended.code, 2);
  EXPECT_EQ(run("storefront-load", {"--target", "http://127.0.0.1:1"}).ended.code, 2) << "nobody answers there";
  EXPECT_EQ(run("storefront-bank", {"--faults", "101"}).ended.code, 2);
}

TEST(storefront_once, a_port_in_use_ends_it_with_code_2) {
  const scratch_folder folder;
  child bank = start("storefront-bank", {"--listen", "127.0.0.1:0", "--ledger", folder.file("bank.db")});
  const std::string taken = std::to_string(port_of(bank));
  EXPECT_EQ(run("storefront-run", small_run("1", 50, {"--port", taken})).ended.code, 2);
}

}  // namespace
}  // namespace storefront::run::test
