#include <heddle/park/agent.hpp>
#include <heddle/park/internal/place.hpp>
#include <heddle/watch/internal/names.hpp>
#include <heddle/watch/livelock.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>

#include <bit>
#include <map>
#include <mutex>

namespace heddle::watch {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

struct failure {
  unsigned attempts;
  clock::time_point at;
  std::string who;
};

struct place {
  std::map<std::uint32_t, failure> agents;  // by id
  clock::time_point last;
  bool told = false;
};

struct ledger {
  std::mutex lock;
  std::map<std::uint64_t, place> places;  // under lock; by origin
};

/// Never destroyed: attempts may fail while the program exits.
ledger& the_ledger() {
  static ledger* const made = new ledger;
  return *made;
}

constexpr auto forgotten_after = 10s;
constexpr auto at_the_same_time = 1s;
constexpr std::size_t most_places = 1024;

std::string current_name() {
  agent& self = current_agent();
  park::wait_info named;
  named.agent = self.id();
  named.kind = self.what();
  if (self.name() != nullptr) named.name = self.name();
  return who(named);
}

report describe(const std::string& where, const place& here, unsigned attempts, clock::time_point now) {
  report found;
  found.what = problem::livelock;
  found.how_sure = confidence::possible;
  found.at = now;
  std::string others;
  std::size_t count = 0;
  for (const auto& [id, each] : here.agents) {
    if (now - each.at > at_the_same_time) continue;
    found.details.push_back(each.who + " has failed " + std::to_string(each.attempts) + " times");
    others += (others.empty() ? "" : ", ") + each.who;
    ++count;
  }
  found.sentence = "Livelock: " + others + (count == 1 ? " has" : " have") + " tried again and again at " + where +
                   ", up to " + std::to_string(attempts) + " times, and got nowhere.";
  found.advice =
      "pause for a random time that grows between attempts (heddle::backoff), or take all that is needed at once "
      "(heddle::lock_all).";
  return found;
}

}  // namespace

void attempts_without_progress(origin where, bool named, unsigned attempts) noexcept {
  const settings wanted = current_settings();
  if (!wanted.livelock) return;
  const clock::time_point now = clock::now();
  const std::uint32_t self = current_agent().id();
  std::optional<report> found;
  {
    ledger& all = the_ledger();
    const std::lock_guard guard{all.lock};
    if (all.places.size() >= most_places) {
      std::erase_if(all.places, [&](const auto& each) { return now - each.second.last > at_the_same_time; });
    }
    place& here = all.places[std::bit_cast<std::uint64_t>(where)];
    if (now - here.last > forgotten_after) here = {};
    here.last = now;
    here.agents[self] = {attempts, now, current_name()};
    if (attempts >= wanted.livelock_after && !here.told) {
      here.told = true;
      found =
          describe(named ? '\'' + std::string{where.name} + '\'' : park::place_text(where.place), here, attempts, now);
    }
  }
  if (found) deliver(std::move(*found));
}

}  // namespace heddle::watch
