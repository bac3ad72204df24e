#include <heddle/park/internal/frames_of.hpp>
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
    for (const std::string& frame : wait.frames) result += "      " + frame + '\n';
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
  std::erase_if(first.agents, [](const park::agent_view& each) { return !each.waits; });
  std::ranges::sort(first.agents, {}, [](const park::agent_view& each) { return each.wait.since; });
  constexpr std::size_t with_frames = 256;
  for (park::agent_view& each : first.agents) {
    if (result.waits.size() < with_frames) {
      each.wait.frames = park::frame_texts(park::frames_of(each.wait.agent, each.generation));
    }
    result.waits.push_back(std::move(each.wait));
  }
  return result;
}

}  // namespace heddle::watch
