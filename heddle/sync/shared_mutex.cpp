// A lock for many readers or one writer.
//
// State. state_, 64 bits; the flags are changed only under the queue's lock, but for `deferring`, which readers set and a
// writer clears.
//   63-32  readers: the shares that are counted here. Others lie in slots (internal/reader_slots.hpp).
//   31-8   the writer's agent id, 0 when nobody writes. Never together with readers.
//   4 owes          something is kept for a task that was woken: a share, or the turn to write (see owed_).
//   3 reader_waits  readers stand in the queue, or did when they were last looked at.
//   2 writer_waits  a writer waits: nobody else may enter. Together with `deferring` only while somebody writes.
//   1 scanning      a writer is moving shares out of the slots; there may still be some.
//   0 deferring     readers that come put their shares into slots, once nobody writes; with a writer, there may be some.
//   writers_        how many stand in the queue to write; one that a promise was given to still counts.
//   in_flight_      how many threads were told to try, and have not yet.
//   owed_           0, or how many tasks may still enter to read; or, with the highest bit, the task that may write.
//   epoch_          a promise counts only while this is what it was when the promise was given.
// Invariants.
//   I1  Shares are alike. There are as many as readers, counting the shares in slots and in the state, and one more for
//       each reader that has put one down and not yet looked whether that counts. Giving back takes any of them: one in
//       the agent's own line, else one in the state.
//   I2  A share in a slot counts only if `deferring` was still set, and the lock open, after it had been put there. Else
//       the reader takes it up again; and if it is gone, somebody has moved it into the state, or has given it back in
//       place of one that is there; so the reader has a share. Whoever sets writer_waits and clears
//       `deferring` moves all shares out of the slots; so that afterwards only such as will be taken up again are there,
//       and `readers` says whether anybody reads.
//   I3  writers_ is not 0: then writer_waits is set, or somebody is in flight. So the last reader to leave sees that it
//       has to look after them, or whoever is in flight will: it always comes back, takes the lock or queues up, and if
//       it was the last in flight, sets writer_waits again and settles.
//   I4  Whoever makes it possible for somebody to enter settles: chooses, under the queue's lock, whose turn it is. After
//       a writer it is the readers that wait, all of them; after the last reader, the oldest writer. A waiter that
//       cannot be claimed is about to leave, or to look again, and then settles itself.
//   I5  The store that gives up the lock is the last access to it, if nobody waits; a share in a slot is given back
//       without one. If somebody waits or is on the way, the lock is given up under the queue's lock, and the last
//       access is to let go of that: whoever could destroy the lock has to wait for those who wait, and they for the
//       queue's lock.
//   I6  A thread that was told to try, or was let in, will run. A task may not, for as long as its executor is busy. So
//       it is never let in but promised that it may enter, and others are kept out until it has, or for 1 ms: then the
//       clock breaks the promise, if waiters of other executors stand in the queue; and a newcomer that finds one looks
//       again after 1 ms by itself. Breaking it is to go on to the next epoch. Its task, when it runs, is a newcomer
//       with an old place in the queue. A promise that has not been broken can be kept, since nobody else has been let
//       in.
//   I7  A share in an agent's own line is given back by a plain store, in one sequence (sys/restartable.hpp) with the look
//       that the lock is open and the share still there. So whoever moves shares first closes the lock, and then restarts
//       such sequences; an agent that was in the middle of one, or comes later, gives its share back by a
//       read-modify-write, as those do that have no line of their own. The look comes before the share is gone, while
//       the lock must exist.
//   I8  A writer that finds nothing but `deferring` writes its id beside it, and then looks at the slots. Readers that leave
//       find `deferring` there and look for their shares in the slots. When all are gone, it writes. If that takes longer
//       than a short section, it takes its id back, under the queue's lock, and moves the shares as if it had waited from
//       the first (retreat). While there is an id, nobody else looks at the slots; who comes to the queue says that it
//       waits, and leaves `deferring` to whoever writes.
// Edges.
//   E1  giving up: release on state_ -> taking: acquire. Readers' changes to state_ continue the release sequence. A
//       share given back in a slot: release on the word -> acquire by the writer that looks at it, or, where the share
//       stood for another, by the reader that finds its own gone, and then by state_.
//   E2  A reader puts its share down, then looks at state_; a writer closes the lock, then looks at the words: all
//       seq_cst (Dekker). So are the counts of the lines that are in use. So either the reader sees the writer, and takes its share up again; or the writer sees the
//       share.
// Progress and fairness. A writer that stands in the queue bars readers that come later; after it, those that waited go
//   in together, before the next writer; so a phase of either kind lasts as long as its slowest member. As long as
//   nobody has waited for 1 ms, threads whose turn it is are only told to try, and those who come before they have
//   woken up may go first. Once somebody has, turns are given, not told. What is lost by strict turns from the first
//   moment is that each one costs two context switches as soon as one waiter has gone to sleep, and that this never
//   ends (see Rejected).
// Who finds it taken looks for a while, lets go of its processor a few times in between, and queues up then. A writer
//   does not say that it waits before that: at 5 % writes and four threads on two CPUs most waits are for a reader that
//   has lost its processor, and nobody else need wait for it.
// Cost. A reader: one locked instruction to put a share into a slot, none to give it back; in the word, or beyond the
//   agents that have a line of their own, one each. A writer: one each, and if readers use slots, a look at two words of a
//   line for each of the agents that do, at most 64, and of those lines that the others share. A writer that waits for a
//   reader for longer than a short section interrupts the other CPUs, 3 to 12 microseconds.
// When slots are used: from the moment that two readers meet; or after a reader has read alone for a while, since it is
//   cheaper. Until a writer has to queue up; or after some writers that met nobody, since looking costs them more.
// Rejected. Turns that are given at once, without the first millisecond: at 5 % writes and four threads on two CPUs,
//   half the throughput, and a hundred times as many context switches. To count the first readers after a writer in the
//   state, so that the next writer need not look at the slots: 8 to 64 such reads cost 8 to 15 % at 5 % writes. To end the
//   use of slots with each writer: a fifth of the throughput there. To let go of the processor after queueing up: a fifth
//   as well, as others then wait for one that runs no more. A membarrier in place of the reader's seq_cst, too: each
//   writer would have to interrupt. Slots by CPU: a task would have to look for its share everywhere.
// Source. Phase-fair: B. Brandenburg, J. Anderson, "Spin-Based Reader-Writer Synchronization for Multiprocessor
//   Real-Time Systems" (2010). Shares in slots: folly's SharedMutex; also for a reader alone, and when that is worth it:
//   D. Dice, A. Kogan, "BRAVO: Biased Locking for Reader-Writer Locks" (2019).

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/park/internal/current.hpp>
#include <heddle/sync/internal/reader_slots.hpp>
#include <heddle/sync/internal/shared_mutex_turn.hpp>
#include <heddle/sync/shared_mutex.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/restartable.hpp>
#include <heddle/sys/thread.hpp>
#include <heddle/watch/settings.hpp>

#include <bit>
#include <cstddef>
#include <utility>

namespace heddle {

using namespace shared_mutex_state;
using park::hold_mode;

namespace {

// Whoever has locks has somebody who looks at the waits for them.
[[maybe_unused]] const bool diagnosed = watch::begin();

// The half of the state that tells the writer.
const std::atomic<std::uint32_t>& owner_half(const std::atomic<std::uint64_t>& state) noexcept {
  static_assert(std::endian::native == std::endian::little);
  return *reinterpret_cast<const std::atomic<std::uint32_t>*>(&state);
}

constexpr std::uint64_t closed_or_deferring = closed_to_readers | deferring;

// True about once in 2^bits times, whatever the agent's habits: what is taken and given back comes round in patterns.
bool now_and_then(const agent& self, unsigned bits) noexcept {
  return self.holds().changes() * 0x9e37'79b9U >> (32U - bits) == 0;
}

// How often a thread lets go of its processor before it queues up.
constexpr int yields = 3;

// Whether readers that come put their shares into slots.
constexpr bool in_slots(std::uint64_t state) noexcept { return (state & closed_or_deferring) == deferring; }

constexpr std::uint32_t note_of(hold_mode mode) noexcept { return mode == hold_mode::exclusive ? 1 : 0; }

}  // namespace

// --- to read ---

// Fast paths call nothing but as their last step, so that they need no stack frame; what is missing is made up for in the
// slow halves.
void shared_mutex::lock_shared(std::source_location site) noexcept {
  if (agent* const self = park::known_agent(); self != nullptr) [[likely]] {
    const std::uint64_t seen = state_.load(std::memory_order_acquire);
    if (in_slots(seen)) [[likely]] {
      std::atomic<std::uint64_t>* const own = sync::reader_slots::own_word(self->id_if_any(), this);
      if (own == nullptr || own->load(std::memory_order_relaxed) != 0) {
        lock_shared_in_slot(*self, site, __builtin_return_address(0));
        return;
      }
      own->exchange(sync::reader_slots::share_of(this), std::memory_order_seq_cst);
      if (in_slots(state_.load(std::memory_order_seq_cst))) [[likely]] {  // E2
        self->now_holds(this, held(hold_mode::shared, false), __builtin_return_address(0));
        return;
      }
      lock_shared_late(*self, site, __builtin_return_address(0));
      return;
    }
    if (seen == 0) {
      lock_shared_alone(*self, site, __builtin_return_address(0));
      return;
    }
  }
  lock_shared_slow(site, __builtin_return_address(0));
}

void shared_mutex::lock_shared_alone(agent& self, std::source_location site, const void* caller) noexcept {
  std::uint64_t seen = 0;
  if (state_.compare_exchange_strong(seen, one_reader, std::memory_order_acquire, std::memory_order_relaxed)) {  // E1
    self.now_holds(this, held(hold_mode::shared, false), caller);
    return;
  }
  lock_shared_slow(site, caller);
}

// A share has been put down too late, and may not count.
void shared_mutex::lock_shared_late(agent& self, std::source_location site, const void* caller) noexcept {
  if (sync::reader_slots::take(self.id_if_any(), this)) {  // I2
    lock_shared_slow(site, caller);
    return;
  }
  self.now_holds(this, held(hold_mode::shared, false), caller);
}

void shared_mutex::lock_shared_in_slot(agent& self, std::source_location site, const void* caller) noexcept {
  if (read_in_slot(self.id_if_any())) {
    self.now_holds(this, held(hold_mode::shared, false), caller);
    return;
  }
  lock_shared_slow(site, caller);
}

void shared_mutex::lock_shared_slow(std::source_location site, const void* caller) noexcept {
  agent& self = current_agent();
  if (!read_now(self.id())) {
    refuse_if_held(hold_mode::shared, site);
    (void)take(hold_mode::shared, resource(hold_mode::shared, false), deadline::never(), {}, site);
  }
  self.now_holds(this, held(hold_mode::shared, false), caller);
}

bool shared_mutex::try_lock_shared() noexcept {
  agent& self = current_agent();
  if (!read_now(self.id())) return false;
  self.now_holds(this, held(hold_mode::shared, true), __builtin_return_address(0));
  return true;
}

// Puts a share down, and looks whether that counts.
bool shared_mutex::read_in_slot(std::uint32_t self) noexcept {
  if (!sync::reader_slots::put(self, this)) return false;
  if (in_slots(state_.load(std::memory_order_seq_cst))) return true;  // E2
  return !sync::reader_slots::take(self, this);                       // I2: else a writer has moved it into the word
}

// Takes a share without waiting; false when a writer has the lock or waits for it.
bool shared_mutex::read_now(std::uint32_t self) noexcept {
  for (;;) {
    std::uint64_t seen = state_.load(std::memory_order_acquire);
    if ((seen & closed_to_readers) != 0) return false;
    if ((seen & deferring) != 0) {
      if (read_in_slot(self)) return true;
      seen = state_.load(std::memory_order_acquire);
      if ((seen & closed_to_readers) != 0) return false;
    } else if (readers(seen) != 0) {
      sync::reader_slots::open();
      state_.compare_exchange_weak(seen, seen | deferring, std::memory_order_acq_rel, std::memory_order_relaxed);
      continue;
    }
    if (state_.compare_exchange_weak(seen, seen + one_reader, std::memory_order_acquire, std::memory_order_relaxed)) {
      return true;  // E1
    }
  }
}

// The held list is looked at afterwards: what is loaded before a locked instruction delays it.
void shared_mutex::unlock_shared() noexcept {
  if (agent* const self = park::known_agent(); self != nullptr) [[likely]] {
    std::atomic<std::uint64_t>* const own = sync::reader_slots::own_word(self->id_if_any(), this);
    if (own == nullptr ||
        !sys::clear_if_guarded<closed_or_deferring, deferring>(state_, *own, sync::reader_slots::share_of(this))) {
      unlock_shared_elsewhere(*self);
      return;
    }
    if (self->holds().ends_with(this)) [[likely]] {  // I5, I7
      self->no_longer_holds(this);
      return;
    }
    forget_share(*self);
    return;
  }
  unlock_shared_slow();
}

void shared_mutex::unlock_shared_elsewhere(agent& self) noexcept {
  std::uint64_t seen = state_.load(std::memory_order_acquire);
  if (seen == one_reader) {
    // Who has read alone for a while makes slots of use for itself, too: giving a share back there costs less.
    const bool often = now_and_then(self, 6);
    if (often) sync::reader_slots::open();
    if (!state_.compare_exchange_strong(seen, often ? deferring : 0, std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {  // E1
      unlock_shared_slow();
      return;
    }
  } else if ((seen & deferring) == 0 || !sync::reader_slots::take(self.id_if_any(), this)) {  // I5
    unlock_shared_slow();
    return;
  }
  forget_share(self);
}

// The lock may be gone.
void shared_mutex::forget_share(agent& self) noexcept {
  if (!self.no_longer_holds(this)) fatal("a shared_mutex was unlocked by an agent that does not read under it");
}

void shared_mutex::unlock_shared_slow() noexcept {
  agent& self = current_agent();
  static_cast<void>(self.id());
  forget_share(self);
  std::uint64_t seen = state_.load(std::memory_order_acquire);
  if ((seen & (deferring | scanning)) != 0) {
    if (sync::reader_slots::take(self.id_if_any(), this)) return;  // I5
    seen = state_.load(std::memory_order_acquire);                 // a writer may have moved it just now (I2)
  }
  for (;;) {
    if (readers(seen) == 0 || (seen & owner_mask) != 0) {
      fatal("a shared_mutex was unlocked by an agent that does not read under it");
    }
    const bool last_of_a_phase = readers(seen) == 1 && (seen & writer_waits) != 0;
    if (!last_of_a_phase) {
      if (state_.compare_exchange_weak(seen, seen - one_reader, std::memory_order_release, std::memory_order_relaxed)) {
        return;  // E1, I5
      }
      continue;
    }
    turn now{*this};
    seen = now.state();
    if (readers(seen) != 1 || (seen & writer_waits) == 0) continue;  // the writer has given up meanwhile
    now.after_reading();
    return;
  }
}

// --- to write ---

void shared_mutex::lock(std::source_location site) noexcept {
  if (agent* const self = park::known_agent(); self != nullptr) [[likely]] {
    std::uint64_t expected = 0;
    if (state_.compare_exchange_strong(expected, owned_by(self->id_if_any()), std::memory_order_acquire,
                                       std::memory_order_relaxed)) [[likely]] {  // E1
      self->now_holds(this, held(hold_mode::exclusive, false), __builtin_return_address(0));
      return;
    }
  }
  lock_slow(site, __builtin_return_address(0));
}

void shared_mutex::lock_slow(std::source_location site, const void* caller) noexcept {
  agent& self = current_agent();
  (void)self.id();  // before the look at the holder, who may end and leave the same id to this agent
  refuse_if_held(hold_mode::exclusive, site);
  (void)take(hold_mode::exclusive, resource(hold_mode::exclusive, false), deadline::never(), {}, site);
  self.now_holds(this, held(hold_mode::exclusive, false), caller);
}

bool shared_mutex::try_lock() noexcept {
  agent& self = current_agent();
  if (!write_now(self.id())) return false;
  self.now_holds(this, held(hold_mode::exclusive, true), __builtin_return_address(0));
  return true;
}

// Takes it to write without waiting for more than readers that are about to leave.
bool shared_mutex::write_now(std::uint32_t self) noexcept {
  std::uint64_t seen = 0;
  if (state_.compare_exchange_strong(seen, owned_by(self), std::memory_order_acquire, std::memory_order_relaxed)) {
    return true;  // E1
  }
  if (seen == deferring) return write_over_slots(self);
  if ((seen & ~(reader_waits | deferring)) != 0) return false;
  return turn{*this}.try_write(self);
}

// Takes it first and looks at the slots then. Mostly it lets them be used on afterwards; else readers would have to find
// out after each writer that they are worth it.
bool shared_mutex::write_over_slots(std::uint32_t self) noexcept {
  const bool of_no_use = now_and_then(current_agent(), 3) && !sync::reader_slots::any(this);
  std::uint64_t seen = deferring;
  if (!state_.compare_exchange_strong(seen, owned_by(self) | deferring, std::memory_order_seq_cst)) return false;  // E2
  if (sync::reader_slots::any_after_a_while(this)) return turn{*this}.retreat(self);
  if (of_no_use) state_.fetch_and(~deferring, std::memory_order_relaxed);  // I8
  return true;
}

void shared_mutex::unlock() noexcept {
  if (agent* const self = park::known_agent(); self != nullptr) [[likely]] {
    std::uint64_t expected = owned_by(self->id_if_any());
    if (state_.compare_exchange_strong(expected, 0, std::memory_order_release, std::memory_order_relaxed)) [[likely]] {
      static_cast<void>(self->no_longer_holds(this));  // E1, I5
      return;
    }
  }
  unlock_slow();
}

void shared_mutex::unlock_slow() noexcept {
  if (!held_by_me()) fatal("a shared_mutex was unlocked by an agent that does not write under it");
  agent& self = current_agent();
  static_cast<void>(self.no_longer_holds(this));
  for (;;) {
    std::uint64_t seen = state_.load(std::memory_order_relaxed);
    if ((seen & anybody) == 0) {
      if (state_.compare_exchange_weak(seen, seen & deferring, std::memory_order_release, std::memory_order_relaxed)) {
        return;  // E1, I5, I8
      }
      continue;
    }
    turn now{*this};
    if ((now.state() & anybody) == 0) continue;  // they have given up meanwhile
    now.after_writing();
    return;
  }
}

bool shared_mutex::held_by_me() const noexcept {
  const std::uint32_t self = current_agent().id_if_any();  // 0 before its first lock or wait
  return self != 0 && holder() == self;
}

std::uint32_t shared_mutex::holder() const noexcept {
  return static_cast<std::uint32_t>((state_.load(std::memory_order_relaxed) & owner_mask) >> owner_shift);
}

// --- waiting ---

bool shared_mutex::take_now(hold_mode mode, std::uint32_t self) noexcept {
  return mode == hold_mode::exclusive ? write_now(self) : read_now(self);
}

std::expected<void, wait_error> shared_mutex::take_until(hold_mode mode, deadline until, const std::stop_token& stop,
                                                         std::source_location site) noexcept {
  agent& self = current_agent();
  static_cast<void>(self.id());
  auto taken = take(mode, resource(mode, true), until, stop, site);
  if (taken) self.now_holds(this, held(mode, !until.is_never()), __builtin_return_address(0));
  return taken;
}

std::expected<std::unique_lock<shared_mutex>, wait_error> shared_mutex::lock_until(deadline until,
                                                                                   const std::stop_token& stop,
                                                                                   std::source_location site) noexcept {
  if (const auto taken = take_until(hold_mode::exclusive, until, stop, site); !taken) {
    return std::unexpected{taken.error()};
  }
  return std::unique_lock{*this, std::adopt_lock};
}

std::expected<std::shared_lock<shared_mutex>, wait_error> shared_mutex::lock_shared_until(
    deadline until, const std::stop_token& stop, std::source_location site) noexcept {
  if (const auto taken = take_until(hold_mode::shared, until, stop, site); !taken) {
    return std::unexpected{taken.error()};
  }
  return std::shared_lock{*this, std::adopt_lock};
}

std::expected<void, wait_error> shared_mutex::take(hold_mode mode, const park::resource& what, deadline until,
                                                   const std::stop_token& stop, std::source_location site) noexcept {
  const std::uint32_t self = current_agent().id();
  if (spin(mode, self, until)) return {};
  const bool stopped = stop.stop_requested();
  if (stopped || until.has_passed()) {
    if (take_now(mode, self)) return {};
    return std::unexpected{stopped ? wait_error::stopped : wait_error::timeout};
  }
  park::thread_wait wait{what, until, site};
  wait.node().amount = note_of(mode);
  sync::attempt how = sync::attempt::newcomer;
  for (;;) {
    deadline recheck;
    if (turn{*this}.take_or_enqueue(wait.node(), how, recheck)) return {};
    const park::phase result = wait.park(recheck < until ? recheck : until, stop, true);
    if (result == park::phase::granted) return {};
    if (result == park::phase::woken) {
      how = sync::attempt::woken;
    } else if (result == park::phase::timed_out && !until.has_passed()) {
      how = sync::attempt::recheck;
    } else {
      turn{*this}.leave(wait.node());
      return std::unexpected{park::error_of(result)};
    }
    wait.rearm();
  }
}

// Looks at the word for a bounded time while nobody is parked here; true: taken. Whoever is inside may have lost its
// processor, perhaps to this thread, which lets go of it now and then. A writer does not say meanwhile that it waits: then
// nobody else could pass, for as long as one reader sleeps.
bool shared_mutex::spin(hold_mode mode, std::uint32_t self, deadline limit) noexcept {
  const bool writes = mode == hold_mode::exclusive;
  const std::uint64_t keeps_out = writes ? ~(reader_waits | deferring) : closed_to_readers;
  const std::uint64_t parked = reader_waits | (writes ? writer_waits : 0);
  const bool may_wait = sys::allowed_cpus() > 1;
  for (int round = 0;; ++round) {
    std::int64_t until = 0;
    std::int64_t now = 0;
    do {
      for (int i = 0; i < 32; ++i) {
        const std::uint64_t seen = state_.load(std::memory_order_relaxed);
        const bool read = writes && seen == deferring && may_wait && sync::reader_slots::any(this);
        if ((seen & keeps_out) == 0 && !read && take_now(mode, self)) return true;
        if ((seen & parked) != 0 || !may_wait) return false;
        sys::spin_pause();
      }
      now = sys::steady_now_ns();
      if (until == 0) until = now + sync::spin_ns;
    } while (now < until);
    if (round == yields || limit.has_passed()) return false;
    sys::yield();
  }
}

// It could never succeed.
void shared_mutex::refuse_if_held(hold_mode wanted, std::source_location site) const noexcept {
  const agent& self = current_agent();
  if (holder() == self.id_if_any()) {
    fatal(wanted == hold_mode::exclusive
              ? "a shared_mutex was locked twice by one agent, a deadlock of length one"
              : "a shared_mutex was locked to read by the agent that writes, a deadlock of length one",
          site);
  }
  if (wanted == hold_mode::shared) return;
  for (std::uint32_t i = 0; i < self.holds().listed(); ++i) {
    if (self.holds().at(i).lock == this) {
      fatal("a shared_mutex was locked to write by an agent that reads under it, a deadlock of length one", site);
    }
  }
}

void shared_mutex::overdue(park::slot& late) noexcept {
  // Its wait is pinned, and it has to come back here before it returns, so the lock exists.
  auto& m = *const_cast<shared_mutex*>(static_cast<const shared_mutex*>(late.resource_address));
  turn{m}.break_promise_to(late);
}

void shared_mutex::destroyed_slow() const noexcept {
  const std::uint64_t seen = state_.load(std::memory_order_acquire);
  if (process_is_exiting()) return;
  if (seen == deferring && !sync::reader_slots::any(this)) return;
  fatal((seen & anybody) != 0 ? "a shared_mutex was destroyed while it is waited for"
                              : "a shared_mutex was destroyed while it is held");
}

park::held_as shared_mutex::held(hold_mode mode, bool tried) const noexcept {
  return park::held_as{resource_kind::shared_mutex, origin_, queue_.named(), mode, tried}.with_queue_at(
      offsetof(shared_mutex, queue_));
}

park::resource shared_mutex::resource(hold_mode mode, bool breakable) const noexcept {
  return {resource_kind::shared_mutex, this,     origin_, queue_.named(), &owner_half(state_), owner_shift,
          mode == hold_mode::shared,   breakable};
}

// --- tasks ---

bool sync::shared_mutex_wait::ready() noexcept { return mutex_.take_now(mode_, current_agent().id()); }

bool sync::shared_mutex_wait::enqueue() noexcept {
  node().amount = note_of(mode_);
  deadline recheck;
  if (shared_mutex::turn{mutex_}.take_or_enqueue(node(), attempt::newcomer, recheck)) return false;
  if (!recheck.is_never()) recheck_at(recheck);
  return true;
}

park::task_wait::step sync::shared_mutex_wait::claimed(park::phase result) noexcept {
  const bool woken = result == park::phase::woken;
  if (woken || (result == park::phase::timed_out && !until().has_passed())) {
    rearm();
    deadline recheck;
    if (shared_mutex::turn{mutex_}.take_or_enqueue(node(), woken ? attempt::woken : attempt::recheck, recheck)) {
      return step::resume;
    }
    if (!recheck.is_never()) recheck_at(recheck);
    return step::wait;
  }
  shared_mutex::turn{mutex_}.leave(node());
  if (result == park::phase::cancelled) return step::unwind;
  error_ = park::error_of(result);
  return step::resume;
}

void sync::shared_mutex_wait::refused(park::phase result) noexcept { error_ = park::error_of(result); }

std::optional<wait_error> sync::shared_mutex_wait::taken(const void* taken_at) noexcept {
  if (!error_) current_agent().now_holds(&mutex_, mutex_.held(mode_, !until().is_never()), taken_at);
  return error_;
}

template <class Result>
shared_mutex_awaiter<Result>::shared_mutex_awaiter(shared_mutex& m, deadline until, std::stop_token stop,
                                                   std::source_location site) noexcept
    : shared_mutex_wait{m, mode, m.resource(mode, limited), until, std::move(stop), site} {}

template <class Result>
Result shared_mutex_awaiter<Result>::await_resume() noexcept {
  const std::optional<wait_error> failed = taken(__builtin_return_address(0));
  if constexpr (limited) {
    if (failed) return std::unexpected{*failed};
  }
  return lock_type{mutex(), std::adopt_lock};
}

template class shared_mutex_awaiter<std::unique_lock<shared_mutex>>;
template class shared_mutex_awaiter<std::shared_lock<shared_mutex>>;
template class shared_mutex_awaiter<std::expected<std::unique_lock<shared_mutex>, wait_error>>;
template class shared_mutex_awaiter<std::expected<std::shared_lock<shared_mutex>, wait_error>>;

shared_mutex_awaiter<std::unique_lock<shared_mutex>> shared_mutex::async_lock(std::source_location site) noexcept {
  static_cast<void>(current_agent().id());
  refuse_if_held(hold_mode::exclusive, site);
  return {*this, deadline::never(), {}, site};
}

shared_mutex_awaiter<std::expected<std::unique_lock<shared_mutex>, wait_error>> shared_mutex::async_lock_until(
    deadline until, std::stop_token stop, std::source_location site) noexcept {
  return {*this, until, std::move(stop), site};
}

shared_mutex_awaiter<std::shared_lock<shared_mutex>> shared_mutex::async_lock_shared(
    std::source_location site) noexcept {
  static_cast<void>(current_agent().id());
  refuse_if_held(hold_mode::shared, site);
  return {*this, deadline::never(), {}, site};
}

shared_mutex_awaiter<std::expected<std::shared_lock<shared_mutex>, wait_error>> shared_mutex::async_lock_shared_until(
    deadline until, std::stop_token stop, std::source_location site) noexcept {
  return {*this, until, std::move(stop), site};
}

}  // namespace heddle
