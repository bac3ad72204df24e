// The graph of waits.
//
// State. One node for each agent; what it needs before it can go on. Needs are joined by "and" (a writer needs every
//   reader to leave, a scope every child to end) or by "or" (a task that is ready needs one of the threads of its executor).
// Invariants.
//   I1  An agent goes on if nothing is known to keep it: it does not wait, or waits for something that anybody might
//       bring about (a condition, permits, a message, a lease, the outside world).
//   I2  Else it goes on only if all, or for "or" one, of those it needs go on. Who does not, never will, unless a
//       deadline ends a wait: the least fixed point.
//   I3  Whoever does not go on needs another who does not; so following such needs always ends in a circle.
//   I4  A picture is not one instant. A circle counts only if two pictures show it with the same waits: whoever waits
//       all the time between the two cannot have given anything back.
// Cost. Linear in agents and needs, times the longest chain.
// Source. Deadlock in the and-or model: Chandy, Misra, Haas, "Distributed Deadlock Detection" (1983).

#include <heddle/watch/internal/graph.hpp>

#include <algorithm>

namespace heddle::watch {
namespace {

bool is_over(park::phase now) {
  switch (now) {
    case park::phase::granted:
    case park::phase::closed:
    case park::phase::timed_out:
    case park::phase::stopped:
    case park::phase::cancelled:
    case park::phase::victim: return true;
    default: return false;
  }
}

bool is_about_to_be_woken(park::phase now) {
  return now == park::phase::claimed || now == park::phase::claimed_suspended;
}

bool is_for_an_end(resource_kind kind) { return kind == resource_kind::join || kind == resource_kind::pool; }

/// The thread sleeps in a wait that belongs to some work of its executor, and is not just idle.
bool keeps_a_thread(const park::agent_view& view) {
  return view.waits && view.blocks_thread && !view.replaced && view.runs_on != nullptr &&
         view.wait.resource != view.runs_on && view.wait.waits_for != resource_kind::pool;
}

}  // namespace

graph::graph(const park::picture& seen) {
  nodes_.reserve(seen.agents.size());
  for (const park::agent_view& view : seen.agents) {
    const std::size_t index = nodes_.size();
    nodes_.push_back({&view, {}, false, false, false});
    by_agent_.emplace(view.wait.agent, index);
    if (view.awaited_by != nullptr) by_awaited_.emplace(view.awaited_by, index);
    for (const park::hold& held : view.holds) by_held_.emplace(held.lock, index);
    if (view.waits) by_waited_.emplace(view.wait.resource, index);
    if (keeps_a_thread(view)) by_executor_.emplace(view.runs_on, index);
  }
  for (node& n : nodes_) find_needs(n);
  find_who_goes_on();
  find_circles();
}

void graph::find_needs(node& n) {
  const park::agent_view& view = *n.view;
  const bool is_task = view.wait.kind == agent::kind::task;
  if (!view.waits || is_over(view.now)) {  // it runs, or is about to as soon as a thread is there
    if (is_task && !(view.waits && view.blocks_thread)) find_executor_need(n);
    return;
  }
  if (is_about_to_be_woken(view.now)) return;
  if (view.now == park::phase::woken && is_task && !view.blocks_thread) {
    find_executor_need(n);
    if (!n.needs.empty()) return;
  }
  find_holders(n);
}

// A task that does not wait needs a thread of its executor. While some are free it is running, or soon will be.
void graph::find_executor_need(node& n) {
  const auto [first, last] = by_executor_.equal_range(n.view->runs_on);
  if (first == last) return;
  const auto blocked = static_cast<std::size_t>(std::distance(first, last));
  if (blocked < nodes_[first->second].view->executor_threads) return;
  n.any = true;
  for (auto it = first; it != last; ++it) n.needs.push_back({it->second, relation::occupies});
}

void graph::find_holders(node& n) {
  const park::agent_view& view = *n.view;
  const void* wanted = view.wait.resource;
  if (view.wait.waits_for == resource_kind::lease) return;  // whoever has a lease may be another than who took it
  // Whoever waits for what it holds has just got it: waiting for one's own lock is refused by the lock.
  if (view.wait.holder == view.wait.agent) return;
  if (view.wait.holder != 0) {
    const auto holder = by_agent_.find(view.wait.holder);
    const relation why = view.wait.waits_for == resource_kind::future ? relation::ends : relation::holds;
    if (holder != by_agent_.end()) n.needs.push_back({holder->second, why});
    return;
  }
  if (is_for_an_end(view.wait.waits_for)) {
    const auto [first, last] = by_awaited_.equal_range(wanted);
    for (auto it = first; it != last; ++it) n.needs.push_back({it->second, relation::ends});
    return;
  }
  if (view.wait.waits_for != resource_kind::shared_mutex) return;
  const auto [first, last] = by_held_.equal_range(wanted);
  bool written = false;
  for (auto it = first; it != last; ++it) {
    if (nodes_[it->second].view == &view) continue;
    for (const park::hold& held : nodes_[it->second].view->holds) {
      if (held.lock != wanted) continue;
      const bool reads = held.how.mode() == park::hold_mode::shared;
      written = written || !reads;
      if (reads && view.wait.shared) continue;
      n.needs.push_back({it->second, reads ? relation::reads : relation::holds});
    }
  }
  if (!view.wait.shared || written) return;
  const auto [ahead, end] = by_waited_.equal_range(wanted);  // readers go after a writer that came before
  for (auto it = ahead; it != end; ++it) {
    const park::agent_view& other = *nodes_[it->second].view;
    if (!other.wait.shared && other.wait.since < view.wait.since) n.needs.push_back({it->second, relation::is_ahead});
  }
}

void graph::find_who_goes_on() {
  std::vector<std::vector<std::size_t>> needed_by(nodes_.size());
  std::vector<std::size_t> open(nodes_.size());
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    for (const need& each : nodes_[i].needs) needed_by[each.on].push_back(i);
    open[i] = nodes_[i].any ? 1 : nodes_[i].needs.size();
    if (nodes_[i].needs.empty()) {  // I1
      nodes_[i].goes_on = true;
      ready.push_back(i);
    }
  }
  while (!ready.empty()) {  // I2
    const std::size_t i = ready.back();
    ready.pop_back();
    for (const std::size_t waiter : needed_by[i]) {
      if (nodes_[waiter].goes_on || --open[waiter] != 0) continue;
      nodes_[waiter].goes_on = true;
      ready.push_back(waiter);
    }
  }
}

const graph::need* graph::first_hopeless(const node& n) const {
  const auto found = std::ranges::find_if(n.needs, [this](const need& each) { return !nodes_[each.on].goes_on; });
  return found == n.needs.end() ? nullptr : &*found;
}

void graph::find_circles() {
  std::unordered_map<std::size_t, std::size_t> circle_of;  // node -> circle that it is in or leads to
  for (std::size_t start = 0; start < nodes_.size(); ++start) {
    if (nodes_[start].goes_on || nodes_[start].seen) continue;
    std::vector<std::size_t> trail;
    std::size_t at = start;
    while (!nodes_[at].seen) {
      nodes_[at].seen = true;
      trail.push_back(at);
      at = first_hopeless(nodes_[at])->on;  // I3
    }
    std::size_t which = 0;
    auto entry = std::ranges::find(trail, at);
    if (entry == trail.end()) {
      which = circle_of.at(at);
    } else {
      which = circles_.size();
      circle& found = circles_.emplace_back();
      for (auto it = entry; it != trail.end(); ++it) {
        const need& next = *first_hopeless(nodes_[*it]);
        found.links.push_back({nodes_[*it].view, nodes_[next.on].view, next.why});
      }
    }
    for (auto it = trail.begin(); it != trail.end(); ++it) {
      circle_of.emplace(*it, which);
      if (it < entry || entry == trail.end()) circles_[which].behind.push_back(nodes_[*it].view);
    }
  }
}

std::string graph::circle::key() const {
  std::vector<std::string> parts;
  parts.reserve(links.size());
  for (const link& each : links) {
    parts.push_back(std::to_string(each.from->wait.agent) + '.' + std::to_string(each.from->generation) + '>' +
                    std::to_string(each.to->wait.agent));
  }
  std::ranges::sort(parts);
  std::string all;
  for (const std::string& part : parts) all += part + ' ';
  return all;
}

std::optional<std::chrono::steady_clock::time_point> graph::circle::until() const {
  std::optional<std::chrono::steady_clock::time_point> first;
  for (const link& each : links) {
    if (each.from->waits && each.from->wait.until && (!first || *each.from->wait.until < *first)) {
      first = each.from->wait.until;
    }
  }
  return first;
}

}  // namespace heddle::watch
