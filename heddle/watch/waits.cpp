#include <heddle/watch/internal/describe.hpp>
#include <heddle/watch/internal/graph.hpp>
#include <heddle/watch/internal/names.hpp>
#include <heddle/watch/waits.hpp>

#include <algorithm>
#include <unordered_map>

namespace heddle::watch {

std::string wait_report::text() const {
  std::string result;
  for (const report& each : deadlocks) result += each.sentence + '\n';
  std::unordered_map<std::uint32_t, const park::wait_info*> waiting;
  for (const park::wait_info& wait : waits) waiting.emplace(wait.agent, &wait);
  for (const park::wait_info& wait : waits) {
    result += who(wait) + " waits for " + what(wait) + " since " + in_words(at - wait.since);
    if (wait.holder != 0) {
      const auto holder = waiting.find(wait.holder);
      result +=
          ", held by " + (holder != waiting.end() ? who(*holder->second) : "agent " + std::to_string(wait.holder));
    }
    result += ", at " + wait.site + '\n';
  }
  if (torn != 0) result += std::to_string(torn) + " waits changed too fast to be read\n";
  return result;
}

wait_report waits() {
  park::picture first = park::picture::take();
  wait_report result;
  result.at = std::chrono::steady_clock::now();
  const graph before{first};
  if (!before.circles().empty()) {
    const park::picture second = park::picture::take();
    const graph after{second};
    for (const graph::circle& c : after.circles()) {
      const bool agreed = std::ranges::any_of(before.circles(), [&](const auto& b) { return b.key() == c.key(); });
      if (agreed) result.deadlocks.push_back(describe(c, result.at));
    }
  }
  result.agents = first.agents.size() + first.torn;
  result.torn = first.torn;
  for (park::agent_view& each : first.agents) {
    if (each.waits) result.waits.push_back(std::move(each.wait));
  }
  std::ranges::sort(result.waits, {}, &park::wait_info::since);
  return result;
}

}  // namespace heddle::watch
