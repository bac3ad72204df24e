#include <heddle/sys/priority.hpp>
#include <heddle/watch/internal/inversion.hpp>
#include <heddle/watch/internal/names.hpp>

#include <algorithm>

namespace heddle::watch {
namespace {

// Ordinary threads of nearly the same niceness share a CPU fairly: that is no rank.
constexpr int most_alike = 4;

constexpr std::chrono::milliseconds second_look{3};

bool ranks_above(const sys::priority& one, const sys::priority& other) {
  if (one.is_real_time() || other.is_real_time()) return one.rank > other.rank;
  return one.rank > other.rank + most_alike;
}

}  // namespace

std::vector<report> inversion::study(const park::picture& seen, time_point now, const settings& wanted) {
  std::set<std::pair<std::uint32_t, std::uint64_t>> told;
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint32_t> suspected;
  std::vector<report> found;
  next_.reset();
  for (const park::agent_view& view : seen.agents) {
    if (!view.waits || view.wait.thread == 0 || view.wait.holder == 0) continue;
    const std::pair id{view.wait.agent, view.generation};
    if (told_.contains(id)) {
      told.insert(id);
      continue;
    }
    const time_point due = view.wait.since + wanted.inverted_after;
    if (now < due) {
      if (!next_ || due < *next_) next_ = due;
      continue;
    }
    const auto holder =
        std::ranges::find(seen.agents, view.wait.holder, [](const park::agent_view& each) { return each.wait.agent; });
    if (holder == seen.agents.end() || holder->wait.thread == 0) continue;
    const auto waiter_rank = sys::priority_of(view.wait.thread);
    const auto holder_rank = sys::priority_of(holder->wait.thread);
    if (!waiter_rank || !holder_rank || !ranks_above(*waiter_rank, *holder_rank)) continue;
    // The ranks were read after the picture: a holder that was just giving the lock back may have lost an inherited rank
    // by then. So it is told when a second look finds the same.
    if (const auto before = suspected_.find(id); before == suspected_.end() || before->second != view.wait.holder) {
      suspected.emplace(id, view.wait.holder);
      const time_point again = now + second_look;
      if (!next_ || again < *next_) next_ = again;
      continue;
    }
    told.insert(id);
    report& r = found.emplace_back();
    r.what = problem::priority_inversion;
    r.how_sure = confidence::certain;
    r.at = now;
    r.until = view.wait.until;
    r.sentence = "Priority inversion: " + who(view.wait) + " (" + waiter_rank->in_words() + ") waits for " +
                 watch::what(view.wait) + " since " + in_words(now - view.wait.since) + ", held by " +
                 who(holder->wait) + " (" + holder_rank->in_words() + "), which does not inherit the rank.";
    edge& e = r.edges.emplace_back();
    e.wait = view.wait;
    e.other = view.wait.holder;
    e.other_name = who(holder->wait);
    r.advice =
        "use heddle::pi_mutex, whose holder runs with the rank of its highest waiter, or let threads of one rank "
        "share the lock.";
  }
  told_ = std::move(told);
  suspected_ = std::move(suspected);
  return found;
}

}  // namespace heddle::watch
