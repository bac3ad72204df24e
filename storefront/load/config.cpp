#include <storefront/load/config.hpp>

#include <storefront/base/startup_error.hpp>

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <string>

namespace storefront::load {

config read_command_line(int argc, char** argv) {
  config read;
  std::string target = "http://" + read.target.text();
  double seconds = std::chrono::duration<double>(read.duration).count();
  double clean = 0;
  std::string store;
  std::string ledger;
  CLI::App app{
      "The clients of the storefront: load on a schedule, then a verdict from the stores themselves.\n"
      "SIGINT and SIGTERM end the load early, with a verdict.\n"
      "Exit code 0: every invariant held; 1: one is broken; 3: the load proved nothing; 2: it could not run."};
  app.add_option("--target", target, "URL of the storefront")->capture_default_str();
  app.add_option("--clients", read.clients, "Clients at once")->check(CLI::Range(1, 20'000))->capture_default_str();
  app.add_option("--seconds", seconds, "How long")->check(CLI::Range(0.1, 86'400.0))->capture_default_str();
  app.add_option("--rate", read.rate, "Requests per second in all, as intended")
      ->check(CLI::Range(1.0, 1'000'000.0))
      ->capture_default_str();
  app.add_option("--seed", read.seed, "Seed of what the clients do")->capture_default_str();
  app.add_option("--clean-seconds", clean, "The bank behaves for so long; latencies of that time are counted apart")
      ->capture_default_str();
  app.add_option("--store", store, "Folder of the storefront's store, to be verified");
  app.add_option("--ledger", ledger, "The bank's ledger, to be verified");
  app.add_option("--least-paid", read.least_paid, "Fewer paid orders prove nothing")->capture_default_str();
  app.add_option("--least-replays", read.least_replays, "Fewer replays prove nothing")->capture_default_str();
  app.add_option("--least-conflicts", read.least_conflicts, "Fewer version conflicts prove nothing")
      ->capture_default_str();
  app.add_option("--least-contended", read.least_contended, "Fewer contended lock waits prove nothing")
      ->capture_default_str();
  app.add_flag(
      "--expect-crashes", read.expect_crashes,
      "The storefront is killed and started again meanwhile: connections that break count as injected faults, and "
      "payments are asked for again");
  try {
    app.parse(argc, argv);
    auto at = parse_http_url(target);
    if (!at) throw CLI::ValidationError("--target", at.error());
    read.target = *std::move(at);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : startup_error::exit_code);
  }
  using seconds_of = std::chrono::duration<double>;
  read.duration = std::chrono::duration_cast<std::chrono::milliseconds>(seconds_of{seconds});
  read.clean = std::chrono::duration_cast<std::chrono::milliseconds>(seconds_of{clean});
  read.store = store;
  read.ledger = ledger;
  return read;
}

}  // namespace storefront::load
