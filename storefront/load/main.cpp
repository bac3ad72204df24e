// The load: clients on a schedule, then the verdict. The last line is the figures as JSON.

#include <storefront/base/descriptors.hpp>
#include <storefront/base/log.hpp>
#include <storefront/base/startup_error.hpp>
#include <storefront/load/config.hpp>
#include <storefront/load/report.hpp>
#include <storefront/load/shopper.hpp>
#include <storefront/load/verify.hpp>

#include <heddle/io/event_loop.hpp>
#include <heddle/io/signals.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/with_timeout.hpp>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

namespace storefront::load {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr int exit_held = 0;
constexpr int exit_broken = 1;
constexpr int exit_proved_nothing = 3;

heddle::task<void> show_progress(const marketplace& market) {
  for (std::uint64_t before = 0;;) {
    co_await market.loop.sleep_for(5s);
    const std::uint64_t now = market.counted.requests();
    const auto running = std::chrono::duration<double>(clock::now() - market.begin).count();
    fmt::print("  {:>4.0f} s: {} requests, {} a second, {} errors\n", running, now, (now - before) / 5,
               market.counted.errors());
    std::fflush(stdout);
    before = now;
  }
}

// Clients, and what they have left to do in the background, all end in here.
heddle::task<void> let_them_shop(marketplace& market) {
  std::vector<std::unique_ptr<shopper>> shoppers;
  co_await heddle::with_scope([&](heddle::scope& background) -> heddle::task<void> {
    for (std::size_t i = 0; i < market.settings.clients; ++i) {
      shoppers.push_back(std::make_unique<shopper>(market, background, i));
    }
    co_await heddle::with_scope([&](heddle::scope& clients) -> heddle::task<void> {
      for (auto& one : shoppers) clients.spawn(one->visit_until_the_end(), "client");
      co_return;
    });
  });
}

// Until no charge is in doubt any more: the service settles those by itself.
heddle::task<void> wait_until_settled(marketplace& market) {
  const auto limit = heddle::deadline::after(20s);
  for (;;) {
    const auto figures = co_await read_figures(market.client, market.settings.target);
    if (figures.empty() || figures.value("storefront_charges_in_doubt") == 0 || limit.has_passed()) co_return;
    co_await market.loop.sleep_for(200ms);
  }
}

heddle::task<void> close_on_signal(heddle::io::signal_set& signals, marketplace& market) {
  (void)co_await signals.next();
  market.end = clock::now();
}

heddle::task<results> run_load(heddle::io::event_loop& loop, heddle::io::signal_set& signals, const config& settings) {
  marketplace market{loop, settings};
  results all{.settings = settings, .counted = {}, .took = {}, .before = {}, .after = {}, .told = {}, .stores = {}};
  all.before = co_await read_figures(market.client, settings.target);
  if (all.before.empty()) throw startup_error{fmt::format("no storefront answers at {}", settings.target.text())};
  market.begin = clock::now();
  market.end = market.begin + settings.duration;
  co_await heddle::with_scope(
      [&](heddle::scope& parts) -> heddle::task<void> {
        parts.spawn(show_progress(market), "progress");
        parts.spawn(close_on_signal(signals, market), "signals");
        co_await let_them_shop(market);
        parts.stop();
      },
      heddle::scope_policy::fail_fast);
  all.took = clock::now() - market.begin;
  co_await wait_until_settled(market);
  all.after = co_await read_figures(market.client, settings.target);
  all.counted = market.counted;
  all.told = std::move(market.told);
  co_return all;
}

int load(const config& settings) {
  heddle::io::event_loop loop{"load"};
  heddle::io::signal_set signals{loop, {SIGINT, SIGTERM}};
  fmt::print("{} clients, {:.0f} requests/s as intended, for {:.0f} s\n", settings.clients, settings.rate,
             std::chrono::duration<double>(settings.duration).count());
  std::fflush(stdout);
  results all = loop.run(run_load(loop, signals, settings));
  if (!settings.store.empty()) {
    auto found = verify(settings.store, settings.ledger, all.told);
    if (!found) throw startup_error{found.error()};
    all.stores = *std::move(found);
  }
  fmt::print("\n{}{}\n", text(all), json_line(all));
  std::fflush(stdout);
  if (!all.held()) return exit_broken;
  return all.what_is_missing().empty() ? exit_held : exit_proved_nothing;
}

}  // namespace
}  // namespace storefront::load

int main(int argc, char** argv) {
  const auto settings = storefront::load::read_command_line(argc, argv);
  try {
    storefront::set_up_log("storefront-load", false);
    storefront::allow_many_descriptors();
    return storefront::load::load(settings);
  } catch (const storefront::startup_error& error) {
    fmt::print(stderr, "storefront-load: {}\n", error.what());
    return storefront::startup_error::exit_code;
  } catch (const std::exception& error) {
    fmt::print(stderr, "storefront-load: {}\n", error.what());
    return EXIT_FAILURE;
  }
}
