#include <heddle/watch/internal/names.hpp>
#include <heddle/watch/internal/starvation.hpp>

#include <algorithm>

namespace heddle::watch {
namespace {

constexpr unsigned enough = 3;  // one or two may be chance: a waiter that was woken and lost the race

}  // namespace

std::vector<report> starvation::study(const park::picture& seen, time_point now, const settings& wanted) {
  std::unordered_map<std::uint32_t, const park::agent_view*> agents;
  for (const park::agent_view& view : seen.agents) agents.emplace(view.wait.agent, &view);

  std::map<wait_id, watched_wait> waits;
  std::unordered_map<const void*, arrivals> waiting;
  std::vector<report> found;
  next_.reset();
  for (const park::agent_view& view : seen.agents) {
    if (!view.waits) continue;
    waiting[view.wait.resource].emplace(view.wait.agent, view.wait.since);
    const auto holder = agents.find(view.wait.holder);
    if (view.wait.holder == 0 || holder == agents.end()) continue;

    const park::agent_view& by = *holder->second;
    const auto held = std::ranges::find(by.holds, view.wait.resource, &park::hold::lock);
    const holder_stamp stamp{view.wait.holder, held != by.holds.end() ? held->serial : std::uint16_t{0}};
    const auto before = waits_.find({view.wait.agent, view.generation});
    watched_wait now_seen = before != waits_.end() ? std::move(before->second) : watched_wait{stamp, 0, {}, false};
    if (!(now_seen.holder == stamp)) {
      now_seen.holder = stamp;
      const arrivals& queue = waiting_before_[view.wait.resource];
      const auto came = queue.find(stamp.agent);
      if (came == queue.end() || came->second > view.wait.since) {
        ++now_seen.passed_over;
        now_seen.last_by = who(by.wait);
      }
    }
    const auto age = now - view.wait.since;
    if (!now_seen.told && age >= wanted.starves_after && now_seen.passed_over >= enough) {
      now_seen.told = true;
      report& r = found.emplace_back();
      r.what = problem::starvation;
      r.how_sure = confidence::certain;
      r.at = now;
      r.until = view.wait.until;
      r.sentence = "Starvation: " + who(view.wait) + " waits for " + watch::what(view.wait) + " since " +
                   in_words(age) + " and has been passed over at least " + std::to_string(now_seen.passed_over) +
                   " times, last by " + now_seen.last_by + '.';
      edge& e = r.edges.emplace_back();
      e.wait = view.wait;
      e.other = view.wait.holder;
      e.other_name = who(by.wait);
      r.advice =
          "use a lock that bounds how often a waiter is passed over (heddle::mutex does), and hold it for a shorter "
          "time or less often.";
    }
    // Often enough that the passes add up in time; not at all once it has been told.
    if (!now_seen.told) {
      const time_point when = now + std::max<std::chrono::nanoseconds>(wanted.starves_after / 16, age / 8);
      if (!next_ || when < *next_) next_ = when;
    }
    waits.emplace(wait_id{view.wait.agent, view.generation}, std::move(now_seen));
  }
  waits_ = std::move(waits);
  waiting_before_ = std::move(waiting);
  return found;
}

}  // namespace heddle::watch
