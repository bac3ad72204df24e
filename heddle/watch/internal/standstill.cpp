#include <heddle/park/internal/diagnosis.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/sleeping.hpp>
#include <heddle/watch/internal/names.hpp>
#include <heddle/watch/internal/standstill.hpp>

#include <algorithm>
#include <unordered_set>

namespace heddle::watch {
namespace {

using namespace std::chrono_literals;

constexpr unsigned enough = 3;      // looks in a row at which everybody sleeps, so a tenth of a second and more
constexpr unsigned most_looks = 8;  // somebody runs outside of heddle: it will not become a standstill unseen
constexpr std::size_t most_named = 8;

// The wait can be ended by another agent only.
bool needs_somebody(const park::agent_view& view) {
  if (!view.waits || view.wait.until) return false;
  switch (view.now) {
    case park::phase::arming:
    case park::phase::parked:
    case park::phase::suspended: break;
    default: return false;
  }
  return park::is_telling(view.wait.waits_for) || view.wait.waits_for == resource_kind::pool;
}

// A thread that does not wait in heddle may still sleep elsewhere, as in joining another.
bool is_idle_thread(const park::agent_view& view) { return !view.waits && view.wait.kind == agent::kind::thread; }

}  // namespace

bool standstill::others_sleep(const park::picture& seen) {
  std::unordered_set<std::uint32_t> known{sys::thread_id()};
  for (const park::agent_view& view : seen.agents) {
    if (view.waits) known.insert(view.wait.thread);
  }
  return std::ranges::all_of(sys::threads_of_process(), [&](std::uint32_t thread) {
    return known.contains(thread) || sys::sleeps_until_woken(thread);
  });
}

std::vector<report> standstill::study(const park::picture& seen, time_point now, const settings&) {
  next_.reset();
  std::string key;
  bool anybody = false;
  for (const park::agent_view& view : seen.agents) {
    if (is_idle_thread(view)) continue;
    if (!needs_somebody(view)) {
      key_.clear();
      return {};
    }
    anybody = anybody || park::is_telling(view.wait.waits_for);
    key += std::to_string(view.wait.agent) + '.' + std::to_string(view.generation) + ' ';
  }
  if (!anybody || seen.torn != 0) {
    key_.clear();
    return {};
  }
  if (key != key_) {
    key_ = std::move(key);
    looks_ = 0;
    asleep_ = 0;
    told_ = false;
  }
  if (told_ || ++looks_ > most_looks) return {};
  next_ = now + 40ms * looks_;
  // A thread that runs may sleep for a moment, as for a lock of the allocator: so all of them have to, each time.
  asleep_ = others_sleep_(seen) ? asleep_ + 1 : 0;
  if (asleep_ < enough) return {};
  told_ = true;
  next_.reset();

  report found;
  found.what = problem::deadlock;
  found.how_sure = confidence::possible;
  found.at = now;
  std::string who_waits;
  std::size_t count = 0;
  for (const park::agent_view& view : seen.agents) {
    if (!view.waits || !park::is_telling(view.wait.waits_for)) continue;
    if (++count <= most_named) {
      who_waits += (who_waits.empty() ? "" : ", ") + who(view.wait) + " waits for " + watch::what(view.wait);
    }
    found.behind.push_back(view.wait);
  }
  if (count > most_named) who_waits += ", and " + std::to_string(count - most_named) + " more";
  found.sentence = "Possible deadlock: nobody is left who could wake anybody: " + who_waits + '.';
  found.advice = "see who was to notify, release, send or answer, and why it ended or waits itself.";
  std::vector<report> all;
  all.push_back(std::move(found));
  return all;
}

}  // namespace heddle::watch
