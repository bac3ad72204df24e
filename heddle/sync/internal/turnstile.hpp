#pragma once

// The turnstile: the slow path that mutex and semaphore share. Threads and tasks queue for a value in a 32-bit word.
//
// State. word = value << 6 | careful | looked | in_flight_task | in_flight | starving | waiters.
//   value            mutex: the holder's agent id, 0 when free. semaphore: the permits left.
//   waiters          nodes stand in the queue (some may just be leaving).
//   in_flight        a waiter has been woken, has left the queue and has not yet tried again.
//   in_flight_task   that waiter is a task.
//   starving         a waiter has been passed over for 1 ms: newcomers queue up instead of barging in.
//   looked           a giver has looked at the queue, has found nobody to wake, and has not yet given. Whoever changes
//                    the queue clears it, and so does the store that gives: see I6.
//   careful          only for a Rule that is restartable, as the mutex's: see I9.
//   The value may be changed by anybody; the flags only under the queue's lock, but for looked, which giving clears.
// Invariants.
//   I1  Nothing is ever granted. A wake means: try again. So there is nothing to take back when the woken one is a task
//       whose executor is busy, or that has been stopped; and no order of grants can deadlock an executor.
//   I2  waiters is set whenever a node stands in the queue, so whoever gives a value back sees it and wakes somebody,
//       unless in_flight says that somebody is on the way.
//   I3  A woken waiter always tries before it looks at its deadline. If it takes the value and more is left, it wakes
//       the next (semaphore). If it fails, somebody holds the value, and in_flight is cleared so that giving it back
//       wakes again; the waiter stands in the queue again where its age puts it, so at the front if it is the oldest.
//   I4  A thread that has been woken will run. A task may not, for as long as its executor is busy: so if waiters of
//       other executors stand behind it, in_flight is not set for it, and the clock wakes the next one after 1 ms.
//       A newcomer that queues up behind a task in flight clears in_flight, since it may depend on another executor:
//       either the giver has not given yet and sets the alarm, or somebody else will give and wakes again.
//       One that is barred though the value is there wakes the oldest whenever it looks again, since those before it
//       may all be tasks of one busy executor.
//   I5  The store that gives the value back is the last access to the object: all flags are settled and the queue is
//       unlocked before. So whoever takes it next may destroy the object at once.
//   I6  Between a giver's look at the queue and its store the queue may change, with the value still gone: a waiter
//       comes, the one that wanted too much leaves, another giver gives. If nobody has been woken, the store therefore
//       demands that looked is still there; else the giver looks again.
//   I7  A waiter that was claimed in another queue (a notified one of a condition) is adopted as a newcomer and sleeps on,
//       also while the value is there: then whoever adopts it wakes the oldest, in the same critical section, unless a
//       thread is in flight, which will take and give, or find that somebody else will. So it needs no recheck.
//   I8  starving ends when a waiter takes, or when none is left: none in the queue, none in flight. One that gives up
//       does not end it, as it is not known who starves; else a stream of waiters with deadlines would keep the door
//       open for newcomers. At worst the next waiter is preferred although it has not waited for long.
//   I9  The holder of a restartable word without careful gives by a plain store of 0, after a look at the word, in a
//       sequence that the kernel restarts (sys/restartable.hpp): flags that are set between the two are lost. So waiters
//       is set only in a word that is careful, and whoever makes it so, under the queue's lock, restarts the others'
//       sequences before it looks whether careful is still there, and before it lets go of the lock. The next holders
//       keep it, and give by a compare-and-swap; one in 8191 times they look whether it is worth its price (settle), and
//       take it away under the queue's lock when nobody waits.
// Edges.
//   E1  give: release on the word -> take: acquire.
//   E2  enqueue sets waiters before it unlocks the queue -> give's store fails or sees it, and the giver locks the queue.
// Progress and fairness. Barging, until the oldest waiter has been passed over for 1 ms; then newcomers wait, for at
//   most 1 ms at a time, until it has had its turn. Threads and tasks are alike.
// Cost. Uncontended: one compare-and-swap to take, one to give, which a mutex spares itself until somebody has queued up
//   for it. The first to queue up pays some microseconds more. With a waiter: the queue's lock, one clock reading, one
//   wake.
//   Who comes or has been woken looks at the word for some microseconds before it sleeps, unless somebody starves.
// Rejected. Several woken threads in flight at once: mutex/contended/4 gains 4 %, but one that takes ends the starving of
//   another (docs/models/waiters.pml, -DBYPASS). Handing the value to a task that has not run (a reservation that others may take over after 1 ms): the same
//   bound, but the grant has to be withdrawn when the task is destroyed, and found by whoever takes it over.
// Source. Plain stores against a rare system call of the others: the asymmetric fences of Dice, Huang and Yang,
//   "Asymmetric Dekker Synchronization", 2001. Barging with a starvation mode: Go's sync.Mutex; a designated waker:
//   nsync's MU_DESIG_WAKER.

#include <heddle/base/deadline.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/sync/turnstile_wait.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/restartable.hpp>

#include <atomic>
#include <cstdint>
#include <expected>
#include <source_location>
#include <stop_token>

namespace heddle::sync {

inline constexpr std::uint32_t waiters_bit = 1;
inline constexpr std::uint32_t starving_bit = 2;
inline constexpr std::uint32_t in_flight_bit = 4;
inline constexpr std::uint32_t in_flight_task_bit = 8;
inline constexpr std::uint32_t looked_bit = 16;
inline constexpr std::uint32_t flags_mask = (1U << value_shift) - 1;

/// How long the oldest waiter may be passed over before newcomers wait for it.
inline constexpr std::int64_t patience_ns = 1'000'000;

/// How long a thread looks at a taken word before it sleeps: mutex/contended/2 chose it.
inline constexpr std::int64_t spin_ns = 4'000;

/// Why a waiter comes to the queue.
enum class attempt : std::uint8_t {
  newcomer,  ///< has not waited yet
  woken,     ///< was taken out of the queue and told to try
  recheck,   ///< still stands in the queue and looks whether it may go
};

/// One object's word and queue, seen as a turnstile. `Rule` says what taking and giving mean for the value:
///   static bool take(std::uint32_t value, std::uint32_t amount, std::uint32_t& after);
///   static std::uint32_t give(std::uint32_t value, std::uint32_t amount);
///   static turnstile at(const void* object);   // finds word and queue from the wait record's address
///   static constexpr bool shared;              // whether several can have taken at once
///   static constexpr bool restartable;         // whether whoever has taken may give by sys::clear_if_equal (I9)
template <class Rule>
class turnstile {
 public:
  turnstile(std::atomic<std::uint32_t>& word, park::queue& queue) noexcept : word_{word}, queue_{queue} {}

  /// Takes without waiting; false when it cannot, or when a starving waiter comes first.
  bool try_take(std::uint32_t amount) const noexcept {
    return try_take_seen(word_.load(std::memory_order_relaxed), amount);
  }

  /// The same for one who has just looked at the word.
  bool try_take_seen(std::uint32_t seen, std::uint32_t amount) const noexcept {
    std::uint32_t after = 0;
    while ((seen & starving_bit) == 0 && Rule::take(seen >> value_shift, amount, after)) {
      if (word_.compare_exchange_weak(seen, after << value_shift | (seen & flags_mask), std::memory_order_acquire,
                                      std::memory_order_relaxed)) {  // E1
        return true;
      }
    }
    return false;
  }

  /// Blocks the calling thread until taken, the deadline, or stop.
  std::expected<void, wait_error> take(std::uint32_t amount, const park::resource& what, deadline until,
                                       const std::stop_token& stop, std::source_location site) const noexcept {
    if (spin(amount)) return {};
    if (stop.stop_requested()) return std::unexpected{wait_error::stopped};
    if (until.has_passed()) return std::unexpected{wait_error::timeout};
    park::thread_wait wait{what, until, site};
    wait.node().amount = amount;
    return take_on(wait, attempt::newcomer, until, stop);
  }

  /// The rest of take(), for a wait that has begun; the node's amount is set.
  std::expected<void, wait_error> take_on(park::thread_wait& wait, attempt how, deadline until,
                                          const std::stop_token& stop) const noexcept {
    deadline recheck;
    for (;;) {
      if (take_or_enqueue(wait.node(), how, recheck)) return {};
      const park::phase result = wait.park(recheck < until ? recheck : until, stop);
      if (result == park::phase::woken) {
        how = attempt::woken;
        if (sys::allowed_cpus() > 1) (void)comes_free(wait.node().amount, sys::steady_now_ns() + spin_ns, 0);
      } else if (result == park::phase::timed_out && !until.has_passed()) {
        how = attempt::recheck;
      } else {
        leave(wait.node());
        return std::unexpected{park::error_of(result)};
      }
      wait.rearm();
    }
  }

  /// Gives back if nobody has to be woken for it, and nobody interferes; the object may be gone when it returns true (I5).
  bool try_give(std::uint32_t amount) const noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    if (unattended(seen)) return false;
    const std::uint32_t after = Rule::give(seen >> value_shift, amount) << value_shift;
    return word_.compare_exchange_strong(seen, after | (seen & flags_mask & ~looked_bit), std::memory_order_release,
                                         std::memory_order_relaxed);  // E1, I5, I6
  }

  /// Gives back; wakes the oldest waiter if there is one. The object may be gone when this returns (I5).
  void give(std::uint32_t amount) const noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    park::slot* woken = nullptr;
    bool looked = false;
    bool watched = false;
    for (;;) {
      if (unattended(seen) && woken == nullptr && !(looked && (seen & looked_bit) != 0)) {  // I6
        park::queue_guard guard{queue_};
        woken = choose(guard, [amount](std::uint32_t value) { return Rule::give(value, amount); }, looked_bit);
        seen = word_.load(std::memory_order_relaxed);
        looked = true;
        continue;
      }
      if (unattended(seen) && woken != nullptr && !watched) {  // I4
        watch(*woken);
        watched = true;
      }
      const std::uint32_t after = Rule::give(seen >> value_shift, amount) << value_shift;
      if (word_.compare_exchange_weak(seen, after | (seen & flags_mask & ~looked_bit), std::memory_order_release,
                                      std::memory_order_relaxed)) {  // E1, I5
        break;
      }
    }
    if (woken != nullptr) park::publish(*woken, park::phase::woken);
  }

  /// Takes the value, or lets `node` stand in the queue. Sets `recheck` if the node must look again by itself by then.
  bool take_or_enqueue(park::slot& node, attempt how, deadline& recheck) const noexcept {
    bool pass_on = false;
    bool waits = false;
    {
      park::queue_guard guard{queue_};
      if (how == attempt::recheck && !node.queued) {  // claimed since it looked up: the wake is on its way
        recheck = deadline::never();
        return false;
      }
      std::uint32_t seen = word_.load(std::memory_order_relaxed);
      for (;;) {
        std::uint32_t after = 0;
        const bool barred =
            how == attempt::newcomer ? (seen & starving_bit) != 0 : how == attempt::recheck && guard.first() != &node;
        std::uint32_t next = 0;
        const bool takes = !barred && Rule::take(seen >> value_shift, node.amount, after);
        if (!takes && needs_care(seen)) {
          seen = make_careful();
          continue;
        }
        std::uint32_t flags = seen & flags_mask & ~looked_bit;  // I6
        if (how == attempt::woken) flags &= ~(in_flight_bit | in_flight_task_bit);
        if (takes) {
          if (how != attempt::newcomer) flags &= ~starving_bit;
          next = after << value_shift | flags;
        } else {
          flags |= waiters_bit;                                                                        // I2
          if (how == attempt::newcomer && (flags & in_flight_task_bit) != 0) flags &= ~in_flight_bit;  // I4
          next = (seen & ~flags_mask) | flags;
        }
        if (!word_.compare_exchange_weak(seen, next, std::memory_order_acquire, std::memory_order_relaxed)) continue;
        if (takes) {
          if (how == attempt::recheck) take_out(guard, node);
          pass_on = how != attempt::newcomer && after != 0 && Rule::shared && !guard.empty();
        } else {
          recheck = barred || (flags & starving_bit) != 0 ? deadline::at_ns(sys::steady_now_ns() + patience_ns)
                                                          : deadline::never();
          if (how == attempt::newcomer) guard.push_back(node);
          if (how == attempt::woken) guard.push_by_age(node);  // I3
          waits = true;
          pass_on = how == attempt::recheck && barred && Rule::take(seen >> value_shift, node.amount, after);  // I4
        }
        break;
      }
    }
    if (pass_on) wake_one();  // I3, I4
    return !waits;
  }

  /// Lets waiters that were claimed in another queue and readdressed to this object queue up as newcomers, without waking
  /// them; then the oldest is woken if it could go now and nobody else is on the way. Their amounts are set.
  /// @param chain the first one's index, which leads to the others through slot::next; the last one's is 0.
  /// The object may be gone when this returns: the last access is to unlock the queue, with the chosen one still claimed.
  void adopt(std::uint32_t chain) const noexcept {
    park::slot* woken = nullptr;
    bool others_wait = false;
    {
      park::queue_guard guard{queue_};
      std::uint32_t seen = word_.load(std::memory_order_relaxed);
      while (needs_care(seen)) seen = make_careful();
      std::uint32_t next = 0;
      do {
        next = (seen | waiters_bit) & ~looked_bit;                     // I2, I6
        if ((seen & in_flight_task_bit) != 0) next &= ~in_flight_bit;  // I4
      } while (!word_.compare_exchange_weak(seen, next, std::memory_order_acquire, std::memory_order_relaxed));
      while (chain != 0) {
        park::slot& node = park::slot_at(chain);
        chain = node.next;
        guard.push_back(node);
        park::redirect(node);
      }
      // Else somebody will give, and sees that they wait; or somebody is on the way (I2, I7).
      if (std::uint32_t after = 0; unattended(next) && Rule::take(next >> value_shift, guard.first()->amount, after)) {
        woken = choose(guard, [](std::uint32_t value) { return value; }, 0);
        others_wait = unattended(word_.load(std::memory_order_relaxed));
      }
    }
    tell(woken, others_wait);
  }

  /// Takes a node that gave up out of the queue. If what it was starving for is free, the next one is woken.
  void leave(park::slot& node) const noexcept {
    {
      park::queue_guard guard{queue_};
      take_out(guard, node);
      word_.fetch_and(~looked_bit, std::memory_order_relaxed);  // I6, I8
    }
    wake_one();
  }

  /// Wakes the oldest waiter if it could go now. For wakes that no give() causes.
  void wake_one() const noexcept {
    park::slot* woken = nullptr;
    bool others_wait = false;
    {
      park::queue_guard guard{queue_};
      woken = choose(guard, [](std::uint32_t value) { return value; }, 0);
      others_wait = unattended(word_.load(std::memory_order_relaxed));
    }
    tell(woken, others_wait);
  }

  /// For the holder of a careful word, now and then: if nobody has queued up since the last time, it need not be so (I9).
  void settle() const noexcept {
    park::queue_guard guard{queue_};
    if (guard.take_used()) return;
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while ((seen & flags_mask) == careful_bit &&
           !word_.compare_exchange_weak(seen, seen & ~careful_bit, std::memory_order_relaxed)) {
    }
  }

  /// Takes it, if need be after a bounded time of looking at the word. Not while a starving waiter comes first.
  bool spin(std::uint32_t amount) const noexcept {
    if (try_take(amount)) return true;
    if (sys::allowed_cpus() == 1) return false;
    const std::int64_t until = sys::steady_now_ns() + spin_ns;
    while (comes_free(amount, until, starving_bit)) {
      if (try_take(amount)) return true;
    }
    return false;
  }

 private:
  // Looks at the word until the amount is there; false: it is later than `until`, or one of `flags` is set.
  bool comes_free(std::uint32_t amount, std::int64_t until, std::uint32_t flags) const noexcept {
    do {
      for (int i = 0; i < 32; ++i) {
        const std::uint32_t seen = word_.load(std::memory_order_relaxed);
        if ((seen & flags) != 0) return false;
        std::uint32_t after = 0;
        if (Rule::take(seen >> value_shift, amount, after)) return true;
        sys::spin_pause();
      }
    } while (sys::steady_now_ns() < until);
    return false;
  }

  void take_out(park::queue_guard& guard, park::slot& node) const noexcept {
    guard.remove(node);
    if (!guard.empty()) return;
    const bool someone_comes = (word_.load(std::memory_order_relaxed) & in_flight_bit) != 0;
    word_.fetch_and(~(waiters_bit | (someone_comes ? 0U : starving_bit)), std::memory_order_relaxed);  // I8
  }

  static bool needs_care(std::uint32_t seen) noexcept { return Rule::restartable && (seen & careful_bit) == 0; }

  // I9, under the queue's lock: who sees careful there may rely on it. Returns the word as it is then; careful may be
  // lost again.
  std::uint32_t make_careful() const noexcept {
    word_.fetch_or(careful_bit, std::memory_order_relaxed);
    sys::restart_others();
    return word_.load(std::memory_order_relaxed);
  }

  // Whether somebody waits and no thread is on the way that will look after them.
  static bool unattended(std::uint32_t seen) noexcept { return (seen & (waiters_bit | in_flight_bit)) == waiters_bit; }

  static void tell(park::slot* woken, bool others_wait) noexcept {
    if (woken == nullptr) return;
    if (others_wait) watch(*woken);  // I4
    park::publish(*woken, park::phase::woken);
  }

  // If the claimed waiter is a task that its executor does not get to, the next one is woken (I4).
  static void watch(park::slot& claimed) noexcept {
    if (claimed.item == nullptr) return;
    park::expect_soon(claimed, sys::steady_now_ns() + patience_ns, &turnstile::wake_next_of);
  }

  // Under the queue's lock: claims the oldest waiter that can go with `value`.
  static park::slot* claim_first(park::queue_guard& guard, std::uint32_t value) noexcept {
    std::uint32_t after = 0;
    for (park::slot* s = guard.first(); s != nullptr; s = guard.after(*s)) {
      if (!Rule::take(value, s->amount, after)) break;  // wants more than there is: those behind it wait, too
      if (park::claim(*s)) return s;                    // else it is just leaving
    }
    return nullptr;
  }

  // Under the queue's lock: claims the oldest waiter that can be woken once the value is `becomes(value)`, takes it out,
  // and settles the flags; sets `if_none`, in one step with the look at the value, if somebody waits but nobody can be
  // woken (I6). Publishing the chosen one is left to the caller, after the value has been given back.
  template <class Becomes>
  park::slot* choose(park::queue_guard& guard, Becomes becomes, std::uint32_t if_none) const noexcept {
    const std::int64_t now = sys::steady_now_ns();
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    std::uint32_t next = 0;
    park::slot* chosen = nullptr;
    bool unsure = false;
    do {
      if (chosen == nullptr) {
        chosen = claim_first(guard, becomes(seen >> value_shift));
        if (chosen != nullptr) {
          unsure = chosen->item != nullptr && guard.mixed();
          guard.remove(*chosen);
        }
      }
      next = seen;
      const park::slot* oldest = chosen != nullptr ? chosen : guard.first();
      if (oldest != nullptr && now - oldest->since_ns > patience_ns) next |= starving_bit;
      if (guard.empty()) next &= ~waiters_bit;
      if (chosen == nullptr) {
        if (!guard.empty()) next |= if_none;
      } else {
        next &= ~looked_bit;  // I6
        if (unsure) {
          next &= ~(in_flight_bit | in_flight_task_bit);  // I4
        } else {
          next |= in_flight_bit | (chosen->item != nullptr ? in_flight_task_bit : 0);
        }
      }
    } while (!word_.compare_exchange_weak(seen, next, std::memory_order_relaxed));
    return chosen;
  }

  // On the clock thread: the task that was woken has not run for 1 ms (I4). Its wait is pinned, so the object lives.
  static void wake_next_of(park::slot& late) noexcept { Rule::at(late.resource_address).wake_one(); }

  std::atomic<std::uint32_t>& word_;
  park::queue& queue_;
};

// --- tasks ---

template <class Rule>
bool turnstile_wait<Rule>::ready() noexcept {
  return Rule::at(object_).try_take(amount_);
}

template <class Rule>
bool turnstile_wait<Rule>::enqueue() noexcept {
  node().amount = amount_;
  deadline recheck;
  if (Rule::at(object_).take_or_enqueue(node(), attempt::newcomer, recheck)) return false;
  if (!recheck.is_never()) recheck_at(recheck);
  return true;
}

template <class Rule>
park::task_wait::step turnstile_wait<Rule>::claimed(park::phase result) noexcept {
  const bool woken = result == park::phase::woken;
  if (woken || (result == park::phase::timed_out && !until().has_passed())) {
    deadline recheck;
    rearm();
    if (Rule::at(object_).take_or_enqueue(node(), woken ? attempt::woken : attempt::recheck, recheck)) {
      return step::resume;
    }
    if (!recheck.is_never()) recheck_at(recheck);
    return step::wait;
  }
  Rule::at(object_).leave(node());
  if (result == park::phase::cancelled) return step::unwind;
  error_ = park::error_of(result);
  return step::resume;
}

template <class Rule>
void turnstile_wait<Rule>::refused(park::phase result) noexcept {
  error_ = park::error_of(result);
}

}  // namespace heddle::sync
