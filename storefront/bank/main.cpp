// The bank: serves charges and customers until a signal comes; with --faults, behind a front that misbehaves.

#include <storefront/bank/ledger.hpp>
#include <storefront/bank/routes.hpp>
#include <storefront/bank/unreliable_front.hpp>
#include <storefront/base/address.hpp>
#include <storefront/base/descriptors.hpp>
#include <storefront/base/log.hpp>
#include <storefront/base/startup_error.hpp>

#include <heddle/exec/thread_pool.hpp>
#include <heddle/http/server.hpp>
#include <heddle/io/signals.hpp>
#include <heddle/task/scope.hpp>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

namespace storefront::gateway {
namespace {

namespace http = heddle::http;
namespace io = heddle::io;
using namespace std::chrono_literals;

struct config {
  address listen{"127.0.0.1", 8081};
  std::string ledger = "storefront-bank.db";
  fault_options faults;
};

config read_command_line(int argc, char** argv) {
  config read;
  std::string listen = read.listen.text();
  CLI::App app{"The bank of the storefront: charges by key, customers, and faults on demand."};
  app.add_option("--listen", listen, "HOST:PORT to serve at; port 0 picks one")->capture_default_str();
  app.add_option("--ledger", read.ledger, "SQLite file of the charges, made if it is missing")->capture_default_str();
  app.add_option("--faults", read.faults.percent, "Percentage of calls that are delayed, refused, reset or lost")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  double clean = 0;
  app.add_option("--clean-seconds", clean, "After the first call, no faults for so long")->capture_default_str();
  app.add_option("--seed", read.faults.seed, "Seed of the faults")->capture_default_str();
  try {
    app.parse(argc, argv);
    auto at = parse_address(listen);
    if (!at) throw CLI::ValidationError("--listen", at.error());
    read.listen = *std::move(at);
    read.faults.clean = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>{clean});
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : startup_error::exit_code);
  }
  return read;
}

[[noreturn]] void cannot_listen(const address& at, const io::io_error& why) {
  throw startup_error{fmt::format("cannot listen on {}: {}", at.text(), why.text())};
}

void say_ready(const config& settings, std::uint16_t port) {
  fmt::print("storefront-bank: listening on http://{}\n", address{settings.listen.host, port}.text());
  std::fflush(stdout);
}

heddle::task<void> serve_until_signal(io::signal_set& signals, http::server& server, unreliable_front* front) {
  co_await heddle::with_scope([&](heddle::scope& parts) -> heddle::task<void> {
    if (front != nullptr) parts.spawn(front->run({"127.0.0.1", server.port()}), "faults");
    parts.spawn(server.run(), "server");
    (void)co_await signals.next();
    server.drain(2s);
    parts.stop();
  });
}

int serve(const config& settings) {
  io::event_loop loop{"bank"};
  io::signal_set signals{loop, {SIGINT, SIGTERM}};  // before any thread is started
  heddle::thread_pool blocking{{.threads = 2, .name = "ledger"}};
  ledger book{settings.ledger, blocking};
  http::server server{loop, routes(book)};
  std::optional<unreliable_front> front;
  const address inner{"127.0.0.1", 0};
  if (settings.faults.percent > 0) front.emplace(loop, settings.faults);
  const address& at = front ? inner : settings.listen;
  if (auto fine = server.listen(at.host, at.port); !fine) cannot_listen(at, fine.error());
  if (front) {
    if (auto fine = front->listen(settings.listen); !fine) cannot_listen(settings.listen, fine.error());
  }
  say_ready(settings, front ? front->port() : server.port());
  (void)loop.run_outcome(serve_until_signal(signals, server, front ? &*front : nullptr));
  if (front) {
    const fault_counts& done = front->counts();
    spdlog::debug("{} calls: {} delayed, {} refused, {} reset, {} answers lost", done.calls, done.delayed, done.refused,
                  done.reset, done.lost);
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace storefront::gateway

int main(int argc, char** argv) {
  const auto settings = storefront::gateway::read_command_line(argc, argv);
  try {
    storefront::set_up_log("storefront-bank", false);
    storefront::allow_many_descriptors();
    return storefront::gateway::serve(settings);
  } catch (const storefront::startup_error& error) {
    fmt::print(stderr, "storefront-bank: {}\n", error.what());
    return storefront::startup_error::exit_code;
  } catch (const std::exception& error) {
    fmt::print(stderr, "storefront-bank: {}\n", error.what());
    return EXIT_FAILURE;
  }
}
