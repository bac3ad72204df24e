#include <heddle/park/internal/frames_of.hpp>
#include <heddle/park/internal/long_wait.hpp>
#include <heddle/watch/internal/describe.hpp>
#include <heddle/watch/internal/names.hpp>
#include <heddle/watch/internal/symbols.hpp>

#include <algorithm>

namespace heddle::watch {
namespace {

using link = graph::circle::link;

// A ready task waits for its executor, without a record of it.
park::wait_info wait_of(const link& each, std::chrono::steady_clock::time_point now) {
  park::wait_info wait = each.from->wait;
  if (each.why == relation::occupies) {
    wait.waits_for = resource_kind::pool;
    wait.resource_name = each.to->executor_name;
    wait.resource = each.to->runs_on;
    wait.holder = 0;
    wait.site.clear();
    if (!each.from->waits) wait.since = now;
  }
  return wait;
}

std::string clause(const link& each) {
  const std::string from = who(each.from->wait);
  const std::string to = who(each.to->wait);
  switch (each.why) {
    case relation::holds: return from + " waits for " + what(each.from->wait) + " held by " + to;
    case relation::reads: return from + " waits for " + what(each.from->wait) + " read by " + to;
    case relation::is_ahead: return from + " waits for " + what(each.from->wait) + " behind " + to;
    case relation::ends:
      if (each.from->wait.waits_for == resource_kind::future) return from + " waits for an answer from " + to;
      return from + " waits for the end of " + to;
    case relation::occupies:
      return from + " is ready, but " + to + " blocks " +
             (each.to->executor_threads > 1 ? "one of the threads of its executor '" : "the thread of its executor '") +
             each.to->executor_name + '\'';
  }
  return {};
}

std::string sentence_of(const graph::circle& found) {
  std::string text =
      found.links.size() == 1 ? "Deadlock: " : "Deadlock of " + std::to_string(found.links.size()) + ": ";
  for (std::size_t i = 0; i < found.links.size(); ++i) {
    if (i != 0) text += ", ";
    text += clause(found.links[i]);
  }
  text += found.until() ? "; a deadline will break it." : ".";
  return text;
}

const park::hold* hold_of(const link& each) {
  const auto held = std::ranges::find(each.to->holds, each.from->wait.resource, &park::hold::lock);
  return held != each.to->holds.end() ? &*held : nullptr;
}

// The first one who had to wait for it came after it was taken.
std::chrono::nanoseconds held_for(const graph::circle& found, const link& each,
                                  std::chrono::steady_clock::time_point now) {
  auto since = each.from->wait.since;
  const auto older = [&](const park::agent_view* other) {
    if (other->waits && other->wait.resource == each.from->wait.resource) since = std::min(since, other->wait.since);
  };
  for (const link& other : found.links) older(other.from);
  for (const park::agent_view* other : found.behind) older(other);
  return now - since;
}

// The call stands in a header of the standard library, as in std::lock_guard.
bool is_foreign(const std::string& site) { return site.starts_with('/') || site.starts_with("bits/"); }

std::string advice_for(const graph::circle& found, const std::vector<edge>& edges) {
  const auto which = [&](relation why) {
    const auto it = std::ranges::find(found.links, why, &link::why);
    return it != found.links.end() ? &*it : nullptr;
  };
  if (const link* each = which(relation::occupies)) {
    return "at " + each->to->wait.site +
           " a task blocks its thread: let it wait with co_await (async_lock) instead, or run "
           "it on another executor.";
  }
  if (const link* each = which(relation::ends)) {
    return "at " + each->from->wait.site +
           " somebody waits for another's end while it holds what the other needs: give "
           "that back first.";
  }
  if (which(relation::is_ahead) != nullptr) {
    return "a reader reads again while a writer waits: read once, or hand the first read on.";
  }
  std::string sites;
  for (const edge& each : edges) sites += (sites.empty() ? "" : " and ") + each.wait.site;
  return "take these locks in the same order everywhere (here they meet at " + sites +
         "), or all of them at once with lock_all.";
}

}  // namespace

report describe(const graph::circle& found, std::chrono::steady_clock::time_point now) {
  report result;
  result.what = problem::deadlock;
  result.how_sure = confidence::certain;
  result.at = now;
  result.until = found.until();
  result.sentence = sentence_of(found);
  for (const link& each : found.links) {
    edge e;
    e.wait = wait_of(each, now);
    e.why = each.why;
    e.other = each.to->wait.agent;
    e.other_name = who(each.to->wait);
    if (const park::hold* held = hold_of(each); held != nullptr) {
      e.taken_at = place_of(held->taken_at);
      e.held_for = held_for(found, each, now);
    }
    if (each.from->waits && each.from->blocks_thread) {
      e.stack = places_of(park::stack_of(each.from->wait.agent, each.from->generation));
      if (is_foreign(e.wait.site) && !e.stack.empty()) e.wait.site = e.stack.front();
    } else if (each.from->waits) {
      e.stack = park::frame_texts(park::frames_of(each.from->wait.agent, each.from->generation));
    }
    result.edges.push_back(std::move(e));
  }
  for (const park::agent_view* each : found.behind) {
    if (each->waits) result.behind.push_back(each->wait);
  }
  result.advice = advice_for(found, result.edges);
  return result;
}

}  // namespace heddle::watch
