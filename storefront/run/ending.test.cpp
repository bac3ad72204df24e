// How ./run ends when it is told to, or killed: nobody and nothing is left behind.

#include <storefront/run/whole_support.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>

namespace storefront::run::test {
namespace {

using namespace std::chrono_literals;

/// ./run whose scratch folder lies in a folder of the test's own.
class storefront_ending : public testing::Test {
 protected:
  storefront_ending() { setenv("TMPDIR", folder_.path().c_str(), 1); }
  ~storefront_ending() override { unsetenv("TMPDIR"); }

  static child start_run(std::vector<std::string> more) {
    std::vector<std::string> all{"--no-tour", "--port",
                                 "0",         "--clients",
                                 "50",        "--rate",
                                 "100",       "--least-paid",
                                 "0",         "--least-replays",
                                 "0",         "--least-conflicts",
                                 "0",         "--least-contended",
                                 "0"};
    all.insert(all.end(), more.begin(), more.end());
    return start("storefront-run", std::move(all));
  }

  // Reads on until a line contains `text`; gives that line.
  static std::string line_with(child& program, const std::string& text) {
    while (const auto line = program.read_line(120s)) {
      if (line->find(text) != std::string::npos) return *line;
    }
    ADD_FAILURE() << "it never said: " << text;
    return "";
  }

  void expect_end(child& program, int code) {
    const auto told = std::chrono::steady_clock::now();
    EXPECT_TRUE(eventually([&] { return !program.running(); }));
    EXPECT_LT(std::chrono::steady_clock::now() - told, 12s * slowness);
    EXPECT_EQ(program.wait().code, code) << program.wait().text();
    EXPECT_FALSE(somebody_runs_with(folder_.path().string())) << "a child is left behind";
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path())) << "the scratch folder is left behind";
  }

  scratch_folder folder_;
};

TEST_F(storefront_ending, a_signal_during_the_load_ends_it_within_a_bound) {
  child whole = start_run({"--once", "--seconds", "600"});
  line_with(whole, "requests/s as intended");
  EXPECT_TRUE(somebody_runs_with(folder_.path().string()));
  whole.send(SIGINT);
  expect_end(whole, 130);
}

TEST_F(storefront_ending, it_serves_after_the_load_until_a_signal_comes) {
  child whole = start_run({"--seconds", "1"});
  const std::string line = line_with(whole, "Serving at http://127.0.0.1:");
  visitor web{static_cast<std::uint16_t>(std::atoi(line.c_str() + line.rfind(':') + 1))};
  const auto health = web.get("/healthz");
  ASSERT_TRUE(health);
  EXPECT_EQ(health->status, 200U);
  whole.send(SIGTERM);
  expect_end(whole, 0);
}

TEST_F(storefront_ending, killing_it_takes_its_children_along) {
  child whole = start_run({"--once", "--seconds", "600"});
  line_with(whole, "requests/s as intended");
  whole.send(SIGKILL);
  EXPECT_EQ(whole.wait().signal, SIGKILL);
  EXPECT_TRUE(eventually([&] { return !somebody_runs_with(folder_.path().string()); }));
}

}  // namespace
}  // namespace storefront::run::test
