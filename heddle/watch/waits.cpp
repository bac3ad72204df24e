#include <heddle/watch/waits.hpp>

#include <algorithm>
#include <cstdio>
#include <unordered_map>
#include <unordered_set>

namespace heddle::watch {
namespace {

std::string who(const park::wait_info& wait) {
  const char* kind = wait.kind == agent::kind::task ? "task" : "thread";
  std::string text = std::string{kind} + ' ' + std::to_string(wait.agent);
  if (!wait.name.empty()) text += " '" + wait.name + '\'';
  return text;
}

std::string what(const park::wait_info& wait) {
  return std::string{to_string(wait.waits_for)} + " '" + wait.resource_name + '\'';
}

bool same_wait(const park::wait_info& a, const park::wait_info& b) {
  return a.agent == b.agent && a.resource == b.resource && a.since == b.since && a.holder == b.holder;
}

using by_agent = std::unordered_map<std::uint32_t, const park::wait_info*>;

by_agent index(const std::vector<park::wait_info>& waits) {
  by_agent result;
  for (const park::wait_info& wait : waits) result.emplace(wait.agent, &wait);
  return result;
}

// Follows holders from each wait that was not looked at before; a walk that meets its own trail has found a circle.
std::vector<deadlock> find_cycles(const by_agent& waits) {
  std::vector<deadlock> found;
  std::unordered_set<std::uint32_t> seen;
  for (const auto& [start, first] : waits) {
    std::vector<const park::wait_info*> trail;
    const park::wait_info* at = first;
    while (at != nullptr && at->holder != 0 && seen.insert(at->agent).second) {
      trail.push_back(at);
      const auto next = waits.find(at->holder);
      at = next == waits.end() ? nullptr : next->second;
    }
    if (at == nullptr) continue;
    const auto entry = std::find(trail.begin(), trail.end(), at);
    if (entry == trail.end()) continue;
    deadlock cycle;
    for (auto it = entry; it != trail.end(); ++it) {
      cycle.cycle.push_back(**it);
      cycle.has_deadline = cycle.has_deadline || (*it)->until.has_value();
    }
    found.push_back(std::move(cycle));
  }
  return found;
}

}  // namespace

std::string deadlock::sentence() const {
  std::string text = cycle.size() == 1 ? "Deadlock: " : "Deadlock of " + std::to_string(cycle.size()) + ": ";
  for (std::size_t i = 0; i < cycle.size(); ++i) {
    if (i != 0) text += ", ";
    const park::wait_info& next = cycle[(i + 1) % cycle.size()];
    text += who(cycle[i]) + " waits for " + what(cycle[i]) + " held by " + who(next);
  }
  text += has_deadline ? "; a deadline will break it." : ".";
  return text;
}

std::string wait_report::text() const {
  std::string result;
  for (const deadlock& d : deadlocks) result += d.sentence() + '\n';
  const by_agent agents_waiting = index(waits);
  for (const park::wait_info& wait : waits) {
    const auto age = std::chrono::duration<double, std::milli>(at - wait.since).count();
    char number[32];
    std::snprintf(number, sizeof number, "%.1f ms", age);
    result += who(wait) + " waits for " + what(wait) + " since " + number;
    if (wait.holder != 0) {
      const auto holder = agents_waiting.find(wait.holder);
      result += ", held by " +
                (holder != agents_waiting.end() ? who(*holder->second) : "agent " + std::to_string(wait.holder));
    }
    result += ", at " + wait.site + '\n';
  }
  if (torn != 0) result += std::to_string(torn) + " waits changed too fast to be read\n";
  return result;
}

wait_report waits() {
  park::snapshot first = park::snapshot::take();
  wait_report report;
  report.at = std::chrono::steady_clock::now();
  report.deadlocks = find_cycles(index(first.waits));
  if (!report.deadlocks.empty()) {
    const park::snapshot second = park::snapshot::take();
    const by_agent again = index(second.waits);
    std::erase_if(report.deadlocks, [&](const deadlock& d) {
      return !std::ranges::all_of(d.cycle, [&](const park::wait_info& wait) {
        const auto now = again.find(wait.agent);
        return now != again.end() && same_wait(*now->second, wait);
      });
    });
  }
  report.waits = std::move(first.waits);
  std::ranges::sort(report.waits, {}, &park::wait_info::since);
  report.agents = first.agents;
  report.torn = first.torn;
  return report;
}

}  // namespace heddle::watch
