#include <storefront/run/tour.hpp>

#include <storefront/run/child.hpp>

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdio>

namespace storefront::run {

using namespace std::chrono_literals;

namespace {

constexpr auto longest = 5s;  // for one example; they take well below one second

constexpr std::array order{"query_database", "increment",    "read_write",        "two_orders", "timeout",
                           "backoff",        "executor_map", "producer_consumer", "fetch_user", "event_loop",
                           "process_order",  "charge_card",  "optimistic_update", "divide"};

bool show(const std::filesystem::path& program) {
  child example{program, {}, child::output::read_here};
  const auto line = example.read_line(longest);
  const exit_status ended = example.end(1s);
  const bool kept = line && ended.fine();
  fmt::print("  {}\n", line ? *line : fmt::format("{}: said nothing", program.filename().string()));
  if (!kept) fmt::print("  {}: did not keep its promise, it {}\n", program.filename().string(), ended.text());
  std::fflush(stdout);
  return kept;
}

}  // namespace

bool give_tour(const std::filesystem::path& programs) {
  bool kept = true;
  for (const char* name : order) kept = show(programs / STOREFRONT_EXAMPLES / name) && kept;
  return kept;
}

}  // namespace storefront::run
