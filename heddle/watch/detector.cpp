// The detector: a thread that looks at all waits when there is something to see.
//
// State. `due_` is when to look next; `tick_` is its futex word. park::look_is_due says that somebody has asked for a
//   look that has not begun.
// Invariants.
//   I1  Whoever begins a telling wait and finds look_is_due false sets it and sets `due_`; the detector clears it before
//       it takes the picture. So each wait is in some picture, at most 5 ms after it began plus one look.
//   I2  A circle closes when its last wait begins, or when a task gets ready for an executor whose threads are all
//       blocked. The first asks for a look. The second does not, so while a blocked thread keeps an executor waiting the
//       detector looks again by itself.
//   I3  A circle is told when two pictures agree on it (graph.cpp, I4), once.
//   I4  While nobody waits, and no executor runs anything, the detector sleeps without a limit.
//   I5  While executors run items, it looks twice in settings::stalls_after whether they still run the same ones.
// Cost. For a wait: one load; for one wait in 5 ms: a wake. A look: about 200 ns for each agent; at most a twentieth of
//   one CPU, whatever the number of agents, as the pause grows with the look.
// Rejected. Looking on the clock thread (the text of a report takes milliseconds, and timers would be late). A walk by
//   each waiter after 5 ms: a wake-up for each long wait, and no place for what is seen over several looks.

#include <heddle/base/fatal.hpp>
#include <heddle/park/internal/diagnosis.hpp>
#include <heddle/park/internal/picture.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/internal/small_lock.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/thread.hpp>
#include <heddle/watch/internal/describe.hpp>
#include <heddle/watch/internal/detector.hpp>
#include <heddle/watch/internal/graph.hpp>
#include <heddle/watch/internal/inversion.hpp>
#include <heddle/watch/internal/lock_order.hpp>
#include <heddle/watch/internal/stalls.hpp>
#include <heddle/watch/internal/standstill.hpp>
#include <heddle/watch/internal/starvation.hpp>
#include <heddle/watch/report.hpp>

#include <algorithm>
#include <exception>
#include <limits>
#include <mutex>
#include <string>
#include <unordered_set>

namespace heddle::watch {
namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
constexpr std::chrono::nanoseconds grace = 5ms;

// A circle is told when its waits are old enough to have noted down their stacks; and a short deadline may be somebody's
// way to avoid deadlocks.
constexpr std::chrono::nanoseconds old_enough = 7ms;

// While a thread of an executor is blocked: how often to look again (I2).
constexpr std::chrono::nanoseconds soon = 40ms;
constexpr std::chrono::nanoseconds later = 1s;

class detector {
 public:
  // By an executor that begins to run something (I5): asks for a look at what is run, now and then.
  void ask_for_items() noexcept {
    if (park::items_are_watched.exchange(true, std::memory_order_seq_cst)) return;
    const std::int64_t pause = std::chrono::nanoseconds{current_settings().stalls_after}.count() / 2;
    wake_at(items_due_, sys::steady_now_ns() + pause);
  }

  // By a waiter (I1): asks for a look.
  void ask() noexcept {
    if (park::look_is_due.exchange(true, std::memory_order_seq_cst)) return;
    wake_at(due_, sys::steady_now_ns() + grace.count());
  }

  void before_fork() noexcept { lock_.lock(); }
  void after_fork(bool in_child) noexcept {
    if (in_child) {
      running_ = false;
      due_ = never;
      items_due_ = never;
      not_before_ = 0;
      park::items_are_watched.store(false, std::memory_order_relaxed);
      park::look_is_due.store(false, std::memory_order_relaxed);
    }
    lock_.unlock();
  }

 private:
  void wake_at(std::int64_t& due, std::int64_t when) noexcept {
    bool wake = false;
    {
      const std::lock_guard guard{lock_};
      when = std::max(when, not_before_);
      if (!running_) start();
      if (when < due) {
        due = when;
        tick_.fetch_add(1, std::memory_order_release);
        wake = true;
      }
    }
    if (wake) sys::futex_wake(tick_, 1);
  }

  void start() noexcept {
    static const bool watched = [] {
      sys::at_fork([] { the().before_fork(); }, [] { the().after_fork(false); }, [] { the().after_fork(true); });
      return true;
    }();
    (void)watched;
    running_ = sys::start_service_thread("heddle-watch", [](void* self) { static_cast<detector*>(self)->run(); }, this);
    if (!running_) {
      // No thread to spare: the program goes on undiagnosed, and the next wait tries again.
      park::look_is_due.store(false, std::memory_order_relaxed);
      park::items_are_watched.store(false, std::memory_order_relaxed);
    }
  }

  [[noreturn]] void run() noexcept {
    sys::block_all_signals();
    for (;;) {
      const std::int64_t now = sys::steady_now_ns();
      std::int64_t due = 0;
      std::int64_t items_due = 0;
      std::uint32_t tick = 0;
      {
        const std::lock_guard guard{lock_};
        due = due_;
        items_due = items_due_;
        tick = tick_.load(std::memory_order_relaxed);
        if (due <= now) due_ = never;
        if (items_due <= now) items_due_ = never;
      }
      if (items_due <= now) {
        const std::int64_t again = look_at_items();
        const std::lock_guard guard{lock_};
        items_due_ = std::min(items_due_, again);
      }
      if (due > now) {
        if (items_due > now) sys::futex_wait(tick_, tick, std::min(due, items_due));
        continue;
      }
      park::look_is_due.store(false, std::memory_order_seq_cst);  // I1
      const std::int64_t began = sys::steady_now_ns();
      const std::int64_t next = look();
      const std::int64_t ended = sys::steady_now_ns();
      const std::lock_guard guard{lock_};
      not_before_ = ended + 20 * (ended - began);
      if (next != never) due_ = std::min(due_, std::max(next, not_before_));
      if (due_ != never) due_ = std::max(due_, not_before_);
    }
  }

  // Looks at what executors run; returns when to do so again. Once nobody has run anything at two looks, items may ask
  // again; one more look comes after that, for whoever began just then (I5).
  std::int64_t look_at_items() {
    const settings wanted = current_settings();
    const std::vector<running_threads::one> busy = running_threads::busy();
    const clock::time_point now = clock::now();
    if (wanted.stalls && !busy.empty()) {
      for (report& each : stalls_.study(busy, park::picture::take(), now, wanted)) deliver(std::move(each));
    }
    quiet_looks_ = busy.empty() && wanted.stalls ? quiet_looks_ + 1 : 0;
    if (!wanted.stalls || quiet_looks_ > 2) {
      quiet_looks_ = 0;
      park::items_are_watched.store(false, std::memory_order_seq_cst);
      return never;
    }
    if (quiet_looks_ == 2) park::items_are_watched.store(false, std::memory_order_seq_cst);
    if (quiet_looks_ == 0) park::items_are_watched.store(true, std::memory_order_seq_cst);
    const auto pause =
        quiet_looks_ == 2 ? std::chrono::nanoseconds{1ms} : std::chrono::nanoseconds{wanted.stalls_after} / 2;
    return (now + pause).time_since_epoch().count();
  }

  // Looks once; returns when to look again even if nobody asks.
  std::int64_t look() {
    const settings wanted = current_settings();
    const park::picture first = park::picture::take();
    const clock::time_point now = clock::now();
    std::int64_t next = next_look(first, now);
    if (wanted.deadlocks) next = std::min(next, look_for_deadlocks(first, now, wanted));
    if (wanted.deadlocks) next = std::min(next, study(standstill_, first, now, wanted));
    if (wanted.starvation) next = std::min(next, study(starvation_, first, now, wanted));
    if (wanted.priority_inversion) next = std::min(next, study(inversion_, first, now, wanted));
    return next;
  }

  template <class Study>
  static std::int64_t study(Study& looks, const park::picture& seen, clock::time_point now, const settings& wanted) {
    for (report& each : looks.study(seen, now, wanted)) deliver(std::move(each));
    const std::optional<clock::time_point> next = looks.next_look();
    return next ? next->time_since_epoch().count() : never;
  }

  // Returns when a circle that is too young to be told should be looked at again.
  std::int64_t look_for_deadlocks(const park::picture& first, clock::time_point now, const settings& wanted) {
    std::int64_t next = never;
    const graph before{first};
    if (before.circles().empty()) {
      told_.clear();
      return next;
    }
    const park::picture second = park::picture::take();
    const graph after{second};
    std::unordered_set<std::string> standing;
    for (const graph::circle& c : after.circles()) {
      std::string key = c.key();
      const bool agreed = std::ranges::any_of(before.circles(), [&](const auto& b) { return b.key() == key; });
      if (!agreed) continue;
      if (const clock::time_point due = youngest(c) + old_enough; now < due) {
        next = std::min(next, due.time_since_epoch().count());
        continue;
      }
      if (!told_.contains(key)) {
        deliver(describe(c, now));
        act(c, wanted);
      }
      standing.insert(std::move(key));
    }
    told_ = std::move(standing);
    return next;
  }

  static clock::time_point youngest(const graph::circle& c) {
    clock::time_point last{};
    for (const graph::circle::link& each : c.links) {
      if (each.from->waits) last = std::max(last, each.from->wait.since);
    }
    return last;
  }

  static void act(const graph::circle& c, const settings& wanted) {
    if (c.until()) return;
    if (wanted.on_deadlock == policy::abort) fatal("a deadlock, as reported above, and HEDDLE_WATCH asks to end then");
    if (wanted.on_deadlock != policy::break_it) return;
    // The lowest-ranked is the one that has waited for the shortest time.
    const park::agent_view* victim = nullptr;
    for (const graph::circle::link& each : c.links) {
      if (each.from->waits && each.from->breakable &&
          (victim == nullptr || each.from->wait.since > victim->wait.since)) {
        victim = each.from;
      }
    }
    if (victim == nullptr) return;
    park::slot& s = park::slot_at(victim->wait.agent);
    const park::pin pinned{s};
    const park::record& r = park::record_at(victim->wait.agent);
    if (!pinned.holds() || r.generation.load(std::memory_order_acquire) != victim->generation) return;
    (void)park::cancel_current(s, park::phase::victim);
  }

  static std::int64_t next_look(const park::picture& seen, clock::time_point now) {
    std::int64_t next = never;
    for (const park::agent_view& view : seen.agents) {
      if (!view.waits || !view.blocks_thread || view.runs_on == nullptr || !park::is_telling(view.wait.waits_for)) {
        continue;
      }
      const auto pause = now - view.wait.since < 2s ? soon : later;  // I2
      next = std::min(next, (now + pause).time_since_epoch().count());
    }
    return next;
  }

 public:
  /// Never destroyed: waits may begin while the program exits.
  static detector& the() noexcept {
    static detector* const made = new detector;
    return *made;
  }

 private:
  park::small_lock lock_;
  bool running_ = false;            // under lock_
  std::int64_t due_ = never;        // under lock_
  std::int64_t items_due_ = never;  // under lock_
  std::int64_t not_before_ = 0;     // under lock_
  std::atomic<std::uint32_t> tick_{0};
  stalls stalls_;                         // the detector's own
  unsigned quiet_looks_ = 0;              // the detector's own
  standstill standstill_;                 // the detector's own
  starvation starvation_;                 // the detector's own
  inversion inversion_;                   // the detector's own
  std::unordered_set<std::string> told_;  // the detector's own: circles that stand and have been told
};

constinit const park::diagnosis_hooks hooks{
    .wait_began = []() noexcept { detector::the().ask(); },
    .took_another = study_order,
    .item_began = []() noexcept { detector::the().ask_for_items(); },
};

}  // namespace

void plug_in(const settings& wanted) noexcept {
  const bool anything = wanted.deadlocks || wanted.lock_order || wanted.starvation || wanted.priority_inversion ||
                        wanted.livelock || wanted.stalls;
  switch_order_study(wanted.lock_order);
  park::diagnosis.store(anything ? &hooks : nullptr, std::memory_order_release);
}

}  // namespace heddle::watch
