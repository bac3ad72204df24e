#include <heddle/park/queue.hpp>
#include <heddle/watch/internal/names.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <deque>
#include <mutex>
#include <utility>

namespace heddle::watch {

std::string who(const park::wait_info& agent) {
  std::string text = agent.kind == agent::kind::task ? "task " : "thread ";
  text += std::to_string(agent.agent);
  if (!agent.name.empty()) text += " '" + agent.name + '\'';
  return text;
}

std::string what(const park::wait_info& wait) {
  return std::string{to_string(wait.waits_for)} + " '" + wait.resource_name + '\'';
}

std::string in_words(std::chrono::nanoseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f ms", std::chrono::duration<double, std::milli>(time).count());
  return text;
}

std::string_view to_string(problem what) noexcept {
  constexpr std::string_view names[problems] = {"deadlock",           "lock order", "starvation",
                                                "priority inversion", "livelock",   "stall"};
  return names[static_cast<std::size_t>(what)];
}

namespace {

std::string_view in_words(relation why) {
  switch (why) {
    case relation::holds: return "held by ";
    case relation::reads: return "read by ";
    case relation::is_ahead: return "in the queue behind ";
    case relation::ends: return "which ends with ";
    case relation::occupies: return "whose thread is blocked by ";
  }
  return {};
}

}  // namespace

std::string report::text() const {
  std::string text = sentence + '\n';
  for (const edge& e : edges) {
    text += "  " + who(e.wait) + " waits for " + watch::what(e.wait) + " since " + in_words(at - e.wait.since);
    if (!e.wait.site.empty()) text += ", at " + e.wait.site;
    text += ", " + std::string{in_words(e.why)} + e.other_name;
    if (!e.taken_at.empty()) text += ", taken at " + e.taken_at;
    if (e.held_for.count() != 0) text += ", held for at least " + in_words(e.held_for);
    if (e.wait.until) text += ", gives up in " + in_words(*e.wait.until - at);
    text += '\n';
    for (const std::string& frame : e.stack) text += "      " + frame + '\n';
  }
  for (const park::wait_info& wait : behind) {
    text += "  behind it: " + who(wait) + " waits for " + watch::what(wait) + " since " + in_words(at - wait.since) +
            ", at " + wait.site + '\n';
  }
  for (const std::string& line : details) text += "  " + line + '\n';
  if (!advice.empty()) text += "  To do: " + advice + '\n';
  return text;
}

// --- delivery ---
//
// Handlers may be taken back while they run, from themselves or from another thread; so each has a lock of its own, and
// the list is copied before they are called. All of these locks are std::mutex: a report is about heddle's locks, and
// telling of it must not make a wait that is reported in turn.

struct subscription::entry {
  explicit entry(std::function<void(const report&)> h) : handler{std::move(h)} {}
  std::recursive_mutex running;
  std::function<void(const report&)> handler;  // under running; empty once it was taken back
};

namespace {

constexpr std::size_t kept = 32;

struct desk {
  std::mutex lock;
  std::vector<std::weak_ptr<subscription::entry>> handlers;  // under lock
  std::deque<report> recent;                                 // under lock
  std::array<std::atomic<std::uint64_t>, problems> counts{};
};

/// Never destroyed: reports may come while the program exits.
desk& the_desk() {
  static desk* const made = new desk;
  return *made;
}

}  // namespace

subscription::subscription() noexcept = default;
subscription::subscription(std::shared_ptr<entry> of) noexcept : entry_{std::move(of)} {}
subscription::subscription(subscription&&) noexcept = default;

subscription& subscription::operator=(subscription&& other) noexcept {
  subscription before{std::exchange(entry_, std::move(other.entry_))};
  return *this;
}

subscription::~subscription() {
  if (!entry_) return;
  const std::lock_guard guard{entry_->running};
  entry_->handler = nullptr;
}

subscription on_report(std::function<void(const report&)> handler) {
  auto entry = std::make_shared<subscription::entry>(std::move(handler));
  desk& here = the_desk();
  const std::lock_guard guard{here.lock};
  std::erase_if(here.handlers, [](const auto& each) { return each.expired(); });
  here.handlers.push_back(entry);
  return subscription{std::move(entry)};
}

std::array<std::uint64_t, problems> report_counts() noexcept {
  std::array<std::uint64_t, problems> counts{};
  const desk& here = the_desk();
  for (std::size_t i = 0; i < problems; ++i) counts[i] = here.counts[i].load(std::memory_order_relaxed);
  return counts;
}

std::vector<report> recent_reports() {
  desk& here = the_desk();
  const std::lock_guard guard{here.lock};
  return {here.recent.begin(), here.recent.end()};
}

void deliver(report found) {
  desk& here = the_desk();
  here.counts[static_cast<std::size_t>(found.what)].fetch_add(1, std::memory_order_relaxed);
  if (current_settings().log) {
    const std::string text = "heddle: " + found.text();
    std::fputs(text.c_str(), stderr);
  }
  std::vector<std::weak_ptr<subscription::entry>> handlers;
  {
    const std::lock_guard guard{here.lock};
    handlers = here.handlers;
  }
  for (const auto& each : handlers) {
    const std::shared_ptr<subscription::entry> entry = each.lock();
    if (!entry) continue;
    const std::lock_guard guard{entry->running};
    if (entry->handler) entry->handler(found);
  }
  const std::lock_guard guard{here.lock};
  here.recent.push_back(std::move(found));
  if (here.recent.size() > kept) here.recent.pop_front();
}

}  // namespace heddle::watch
