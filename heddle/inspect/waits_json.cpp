#include <heddle/inspect/waits_json.hpp>

#include <nlohmann/json.hpp>

#include <cstdio>

namespace heddle::inspect {
namespace {

using nlohmann::json;

double in_ms(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

json of(const park::wait_info& wait, std::chrono::steady_clock::time_point now) {
  char address[24];
  std::snprintf(address, sizeof address, "%p", wait.resource);
  return {{"agent", wait.agent},
          {"kind", wait.kind == agent::kind::task ? "task" : "thread"},
          {"name", wait.name},
          {"thread", wait.thread},
          {"resource", {{"kind", to_string(wait.waits_for)}, {"name", wait.resource_name}, {"address", address}}},
          {"holder", wait.holder != 0 ? json(wait.holder) : json(nullptr)},
          {"age_ms", in_ms(now - wait.since)},
          {"deadline_in_ms", wait.until ? json(in_ms(*wait.until - now)) : json(nullptr)},
          {"site", wait.site}};
}

json of(const watch::report& problem, std::chrono::steady_clock::time_point now) {
  return {{"kind", watch::to_string(problem.what)},
          {"confidence", problem.how_sure == watch::confidence::certain ? "certain" : "possible"},
          {"sentence", problem.sentence},
          {"advice", problem.advice},
          {"text", problem.text()},
          {"age_ms", in_ms(now - problem.at)}};
}

}  // namespace

std::string waits_json(const watch::wait_report& report, std::span<const watch::report> problems) {
  json waits = json::array();
  json edges = json::array();
  for (const park::wait_info& wait : report.waits) {
    waits.push_back(of(wait, report.at));
    if (wait.holder != 0) {
      edges.push_back({{"from", wait.agent}, {"to", wait.holder}, {"resource", wait.resource_name}});
    }
  }
  json deadlocks = json::array();
  for (const watch::report& d : report.deadlocks) {
    json agents = json::array();
    for (const watch::edge& each : d.edges) agents.push_back(each.wait.agent);
    deadlocks.push_back({{"sentence", d.sentence}, {"agents", agents}, {"has_deadline", d.until.has_value()}});
  }
  json told = json::array();
  for (std::size_t i = problems.size(); i != 0; --i) told.push_back(of(problems[i - 1], report.at));
  const json all = {{"agents", report.agents}, {"torn", report.torn},       {"deadlocks", deadlocks},
                    {"waits", waits},          {"edges", std::move(edges)}, {"problems", std::move(told)}};
  return all.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace heddle::inspect
