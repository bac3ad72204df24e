// The storefront: reads the command line, opens the shop, serves it until a signal comes, and ends in good order.

#include <storefront/base/descriptors.hpp>
#include <storefront/base/log.hpp>
#include <storefront/base/startup_error.hpp>
#include <storefront/service/config.hpp>
#include <storefront/service/shop.hpp>

#include <heddle/http/server.hpp>
#include <heddle/io/signals.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace storefront {
namespace {

namespace http = heddle::http;
namespace io = heddle::io;

http::server_options server_options() {
  http::server_options options;
  options.limits.max_body_bytes = std::size_t{64} * 1024;
  options.log = [](std::string_view line) { spdlog::warn("{}", line); };
  return options;
}

void say_ready(const config& settings, std::uint16_t port) {
  const std::string line =
      fmt::format("storefront: listening on http://{}\n", address{settings.listen.host, port}.text());
  if (settings.ready_fd < 0) {
    std::fputs(line.c_str(), stdout);
    std::fflush(stdout);
    return;
  }
  std::ofstream out{fmt::format("/dev/fd/{}", settings.ready_fd)};
  if (!(out << line).flush()) throw startup_error{fmt::format("cannot write to descriptor {}", settings.ready_fd)};
}

void show_server_figures(metrics& figures, const http::server& server) {
  auto number = [](auto n) { return static_cast<double>(n); };
  figures.gauge("storefront_connections", "Connections open",
                [&, number] { return number(server.stats().connections); });
  figures.gauge("storefront_requests_running", "Requests being worked on",
                [&, number] { return number(server.stats().running); });
  figures.gauge("storefront_requests_waiting", "Requests that wait for their turn",
                [&, number] { return number(server.stats().waiting); });
  figures.counter("storefront_requests_shed_total", "Requests answered 503 because their turn did not come in time",
                  [&, number] { return number(server.stats().shed); });
  figures.counter("storefront_requests_malformed_total", "Requests that were no acceptable HTTP",
                  [&, number] { return number(server.stats().malformed); });
  figures.counter("storefront_handler_errors_total", "Handlers that threw",
                  [&, number] { return number(server.stats().handler_errors); });
}

heddle::task<void> drain_on_signal(io::signal_set& signals, http::server& server, shop& open,
                                   std::chrono::milliseconds within) {
  const auto signal = co_await signals.next();
  if (!signal) throw startup_error{fmt::format("cannot wait for signals: {}", signal.error().text())};
  spdlog::debug("signal {}: draining", *signal);
  open.drain();
  server.drain(within);
}

heddle::task<void> run_service(const config& settings, io::signal_set& signals, http::server& server, shop& open) {
  co_await open.payments().find_doubts();
  co_await heddle::with_scope([&](heddle::scope& children) -> heddle::task<void> {
    children.spawn(open.payments().settle_doubts(), "settle doubts");
    children.spawn(drain_on_signal(signals, server, open, settings.drain), "signals");
    co_await server.run();
    children.stop();
  });
}

// What heddle finds wrong with the service's own concurrency goes where all else goes.
heddle::watch::subscription log_problems() {
  heddle::watch::settings wanted = heddle::watch::settings::from_environment();
  wanted.log = false;
  heddle::watch::configure(wanted);
  return heddle::watch::on_report([](const heddle::watch::report& problem) { spdlog::error("{}", problem.text()); });
}

int serve(const config& settings) {
  const heddle::watch::subscription problems = log_problems();
  io::event_loop loop{"storefront"};
  io::signal_set signals{loop, {SIGINT, SIGTERM}};  // before any thread is started
  shop open{loop, settings};
  http::server server{loop, open.routes(), server_options()};
  if (auto fine = server.listen(settings.listen.host, settings.listen.port); !fine) {
    throw startup_error{fmt::format("cannot listen on {}: {}", settings.listen.text(), fine.error().text())};
  }
  show_server_figures(open.figures(), server);
  say_ready(settings, server.port());
  loop.run(run_service(settings, signals, server, open));
  spdlog::debug("drained");
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace storefront

int main(int argc, char** argv) {
  const storefront::config settings = storefront::read_command_line(argc, argv);
  try {
    storefront::set_up_log("storefront", settings.verbose);
    storefront::allow_many_descriptors();
    return storefront::serve(settings);
  } catch (const storefront::startup_error& error) {
    fmt::print(stderr, "storefront: {}\n", error.what());
    return storefront::startup_error::exit_code;
  } catch (const std::exception& error) {
    fmt::print(stderr, "storefront: {}\n", error.what());
    return EXIT_FAILURE;
  }
}
