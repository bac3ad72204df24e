#include <storefront/run/config.hpp>

#include <storefront/base/startup_error.hpp>

#include <CLI/CLI.hpp>

#include <cstdlib>

namespace storefront::run {

config read_command_line(int argc, char** argv) {
  config read;
  CLI::App app{
      "Shows each concept in one line, starts the bank and the storefront on a scratch folder, lets clients shop, and "
      "reads\n"
      "the stores to see whether anything was lost or doubled. Without --once it then keeps serving until Ctrl-C.\n"
      "Exit code 0: every invariant held; 1: one is broken; 3: the load proved nothing; 2: it could not run.",
      "./run"};
  app.add_flag("--once", read.once, "Stop after the load; the last line is the figures as JSON");
  app.add_option("--seconds", read.seconds, "How long clients shop")
      ->check(CLI::Range(1.0, 86'400.0))
      ->capture_default_str();
  app.add_option("--clean-seconds", read.clean_seconds, "Of these, at the beginning, the bank behaves")
      ->capture_default_str();
  app.add_option("--clients", read.clients, "Clients at once")->check(CLI::Range(1, 20'000))->capture_default_str();
  app.add_option("--rate", read.rate, "Requests per second in all, as intended")->capture_default_str();
  app.add_option("--seed", read.seed, "Seed of clients and faults")->capture_default_str();
  app.add_option("--faults", read.faults, "Percentage of the bank's calls that are delayed, refused, reset or lost")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  app.add_option("--port", read.port, "Port of the storefront; 0 picks one")->capture_default_str();
  app.add_option("--store", read.store, "Folder for the stores, to be kept [a scratch folder]");
  app.add_option("--unsafe", read.unsafe, "Leave one protection out, to see what breaks")
      ->check(CLI::IsMember({"no-lock", "no-idempotency", "no-version"}));
  app.add_flag("!--no-tour", read.tour, "Leave the tour out");
  app.add_option("--least-paid", read.least_paid, "Fewer paid orders prove nothing")->capture_default_str();
  app.add_option("--least-replays", read.least_replays, "Fewer replays prove nothing")->capture_default_str();
  app.add_option("--least-conflicts", read.least_conflicts, "Fewer version conflicts prove nothing")
      ->capture_default_str();
  app.add_option("--least-contended", read.least_contended, "Fewer contended lock waits prove nothing")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : startup_error::exit_code);
  }
  return read;
}

}  // namespace storefront::run
