// The wait protocol: how one agent waits and how exactly one other ends that wait.
//
// State. slot.claim = generation << 8 | phase; the phases and their moves are in phase.hpp.
// Invariants.
//   I1  A wait ends once: every way out of arming, parked or suspended is a compare-and-swap from one of them, so of
//       waker, timeout, stop and victim exactly one wins.
//   I2  A canceller names the generation, so it cannot end the wait after the one it meant. Stop callbacks do not, as
//       they are destroyed before the wait they belong to ends.
//   I3  A waker claims under the lock of the queue in which the node stands, so the node cannot leave under it; it
//       publishes after its last access to the primitive. Between the two the waiter stays where it is, whatever its
//       deadline says.
//   I4  A suspended task is posted once: by the one whose move took it out of `suspended` or `claimed_suspended`.
//       A task claimed while it was still arming is not posted; commit finds the result instead.
//   I5  After commit_suspended has succeeded the committing thread touches nothing of the frame.
//   I6  A stop that fires between two attempts is not lost: stop_requested() is true before the callbacks run, and
//       rearm() looks at it after the new attempt has become claimable (E5).
//   I7  Once set, the alarm for a task that has been claimed rings until the wake has been published, and is silent
//       before the task's next attempt begins.
//   I8  Whoever has claimed a wait may redirect it instead of publishing: readdress makes it a wait for something else,
//       and redirect lets it be claimed again, in a new generation, while the waiter sleeps on. Neither its deadline nor
//       its stop ends it any more: cancellers that name a generation miss it (I2), the others see `redirected`.
//   I9  A waiter that does not sleep is not woken: publish knows by claimed_suspended. So a thread that finds itself
//       claimed says so before it sleeps, as a task does.
//   I10 An agent whose slot is in a wait already (a user's unlock() that waits, called by a condition that has begun to)
//       waits in a slot of its own for the time being, as the same holder.
// Edges.
//   E1  publish/cancel: release on the claim -> acquire by park()/resume: what the waker wrote is seen by the waiter.
//   E2  begin_wait: release on the claim (arming) -> acquire by claim(): the node's fields are seen by the waker.
//   E3  commit_suspended: release -> acquire in claim/cancel: the frame is complete before anybody resumes it.
//   E4  pin: reader `pins += 1; load pinnable` against agent `pinnable = false; load pins`, all seq_cst (Dekker):
//       either the reader sees that the wait is over, or the agent sees the pin and waits for it.
//   E5  A stop callback that ended nothing and rearm_wait both change the claim by a read-modify-write: either the
//       callback's comes second, and sees the new attempt; or rearm sees the stop that was requested before it.
//   E6  redirect: release on the claim -> acquire by the next claim, by cancel_current and by the waiter: whoever sees
//       the new generation sees what readdress wrote. A reader is kept away from readdress by the pin, as from end_wait.
// Progress and fairness. Lock-free but for the pin, whose holder reads a few words.
// Cost. A wait that sleeps: begin, commit, one system call to sleep, one to be woken. A task: begin, commit, one post.
//   A thread whose spinning is answered: begin, no system call on either side. A thread that has slept for 5 ms: one
//   wake more, in which it notes down its stack (internal/long_wait.cpp).
//   A wake among a million suspended tasks is two misses, one after the other, of the cache and of the TLB: the object,
//   and the first line of the slot. The frame is not touched, as the slot itself is posted: that was a third one
//   (peers/wait_million: 500 -> 370 ns; with the slots of crowds in huge pages: 335). The rest is under 50 ns.
// Rejected. Publishing the result in the claim itself, under the queue's lock: the waiter could leave and destroy the
//   primitive while the waker still has its word to release.
// Source. The two-step hand-over is the reserve-then-commit of cancellable queues; the pin is Dekker's flag protocol.

#include <heddle/base/fatal.hpp>
#include <heddle/park/blocking_region.hpp>
#include <heddle/park/internal/clock.hpp>
#include <heddle/park/internal/diagnosis.hpp>
#include <heddle/park/internal/long_wait.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/sys/futex.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>

namespace heddle::park {
namespace {

constexpr std::int64_t never = deadline::never().ns();

// The half of the claim that a thread sleeps on: generation's low bits and the phase.
const std::atomic<std::uint32_t>& futex_half(const slot& s) noexcept {
  static_assert(std::endian::native == std::endian::little);
  return *reinterpret_cast<const std::atomic<std::uint32_t>*>(&s.claim);
}

bool is_result(phase p) noexcept { return p >= phase::woken; }

void wake_thread(const slot& s) noexcept { sys::futex_wake(futex_half(s), 1); }

// Afterwards nobody looks at what the wait is for.
void unpin(slot& s) noexcept {
  s.pinnable.store(false, std::memory_order_seq_cst);  // E4
  // Whoever has pinned it reads a few words, but may have lost its CPU: to this thread, if this is a real-time one.
  constexpr int spins = 1'000;
  constexpr std::int64_t nap_ns = 50'000;
  for (int i = 0;; ++i) {
    const std::uint32_t pins = s.pins.load(std::memory_order_seq_cst);  // E4
    if (pins == 0) return;
    if (i < spins) {
      sys::spin_pause();
    } else {
      sys::futex_wait(s.pins, pins, sys::steady_now_ns() + nap_ns);
    }
  }
}

// Slot and record say what the wait is for; the record's sequence is odd.
void show(slot& s, record& r, const resource& what, std::int64_t until_ns, std::uint64_t generation) noexcept {
  s.owner_word = what.owner;
  s.owner_shift = what.owner_shift;
  s.resource_address = what.address;
  const std::uint32_t info = r.info.load(std::memory_order_relaxed) & 0xffU;
  r.info.store(info | static_cast<std::uint32_t>(what.kind) << 8 | (what.named ? 1U << 16 : 0U) |
                   (what.shared ? 1U << 17 : 0U) | (what.breakable ? 1U << 18 : 0U) |
                   (s.item == nullptr && thread_is_replaced() ? 1U << 19 : 0U),
               std::memory_order_release);
  r.generation.store(generation, std::memory_order_release);
  r.resource.store(reinterpret_cast<std::uint64_t>(what.address), std::memory_order_release);
  r.made.store(std::bit_cast<std::uint64_t>(what.made), std::memory_order_release);
  r.since_ns.store(s.since_ns, std::memory_order_release);
  r.until_ns.store(until_ns, std::memory_order_release);
  r.owner.store(what.owner != nullptr ? what.owner->load(std::memory_order_relaxed) >> what.owner_shift : 0,
                std::memory_order_release);
  r.owner_word.store(reinterpret_cast<std::uint64_t>(what.owner) | std::uint64_t{what.owner_shift} << 56U,
                     std::memory_order_release);
}

}  // namespace

std::uint64_t begin_wait(slot& s, const resource& what, std::int64_t until_ns, std::source_location site,
                         std::uint32_t blocked_thread) noexcept {
  s.since_ns = sys::steady_now_ns();
  s.redirected.store(false, std::memory_order_relaxed);
  const std::uint64_t generation = generation_of(s.claim.load(std::memory_order_relaxed)) + 1;

  record& r = record_at(s.index);
  const std::uint32_t sequence = r.sequence.load(std::memory_order_relaxed);
  r.sequence.store(sequence + 1, std::memory_order_relaxed);
  show(s, r, what, until_ns, generation);
  r.site.store(std::bit_cast<std::uint64_t>(site), std::memory_order_release);
  if ((r.info.load(std::memory_order_relaxed) & 0xffU) != static_cast<std::uint32_t>(agent::kind::thread) + 1) {
    r.thread.store(blocked_thread, std::memory_order_release);  // a thread's own never changes
  }
  r.sequence.store(sequence + 2, std::memory_order_release);

  s.claim.store(make_claim(generation, phase::arming), std::memory_order_release);  // E2
  s.pinnable.store(true, std::memory_order_seq_cst);
  tell_of_wait(what.kind);
  return generation;
}

std::uint64_t rearm_wait(slot& s) noexcept {
  const std::uint64_t generation = generation_of(s.claim.load(std::memory_order_relaxed)) + 1;
  s.claim.exchange(make_claim(generation, phase::arming), std::memory_order_acq_rel);  // E2, E5
  return generation;
}

void end_wait(slot& s) noexcept {
  unpin(s);
  const std::uint64_t generation = generation_of(s.claim.load(std::memory_order_relaxed));
  s.claim.store(make_claim(generation, phase::idle), std::memory_order_relaxed);
  record& r = record_at(s.index);
  const std::uint32_t sequence = r.sequence.load(std::memory_order_relaxed);
  r.sequence.store(sequence + 1, std::memory_order_relaxed);
  r.resource.store(0, std::memory_order_release);
  r.sequence.store(sequence + 2, std::memory_order_release);
}

bool commit(slot& s, phase asleep) noexcept {
  std::uint64_t seen = s.claim.load(std::memory_order_acquire);
  for (;;) {
    phase next{};
    switch (phase_of(seen)) {
      case phase::arming: next = asleep; break;
      case phase::claimed: next = phase::claimed_suspended; break;  // I4, I9
      default: return false;
    }
    if (s.claim.compare_exchange_weak(seen, make_claim(generation_of(seen), next), std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {  // E3
      return true;
    }
  }
}

bool claim(slot& s) noexcept {
  std::uint64_t seen = s.claim.load(std::memory_order_acquire);
  for (;;) {
    phase next{};
    switch (phase_of(seen)) {
      case phase::arming: next = phase::claimed; break;
      case phase::parked:
      case phase::suspended: next = phase::claimed_suspended; break;
      default: return false;
    }
    if (s.claim.compare_exchange_weak(seen, make_claim(generation_of(seen), next), std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {  // I1, E2
      return true;
    }
  }
}

void publish(slot& s, phase result) noexcept {
  const bool is_thread = s.item == nullptr;  // read before the waiter can go on
  std::uint64_t seen = s.claim.load(std::memory_order_relaxed);
  while (!s.claim.compare_exchange_weak(seen, make_claim(generation_of(seen), result), std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {  // E1, E3
  }
  if (phase_of(seen) != phase::claimed_suspended) return;  // I4, I9
  if (is_thread) {
    wake_thread(s);  // a stray wake, if the waiter has gone on meanwhile, is harmless
  } else {
    s.runs_on->post(s.work);  // the task is still suspended, so these fields are its own
  }
}

void readdress(slot& s, const resource& what, std::int64_t now_ns) noexcept {
  unpin(s);
  s.since_ns = now_ns;
  s.redirected.store(true, std::memory_order_relaxed);
  record& r = record_at(s.index);
  const std::uint32_t sequence = r.sequence.load(std::memory_order_relaxed);
  r.sequence.store(sequence + 1, std::memory_order_relaxed);
  show(s, r, what, never, generation_of(s.claim.load(std::memory_order_relaxed)) + 1);
  r.sequence.store(sequence + 2, std::memory_order_release);
  s.pinnable.store(true, std::memory_order_seq_cst);
  tell_of_wait(what.kind);
}

void redirect(slot& s) noexcept {
  const phase asleep = s.item == nullptr ? phase::parked : phase::suspended;
  std::uint64_t seen = s.claim.load(std::memory_order_relaxed);
  phase next{};
  do {
    next = phase_of(seen) == phase::claimed_suspended ? asleep : phase::arming;
  } while (!s.claim.compare_exchange_weak(seen, make_claim(generation_of(seen) + 1, next), std::memory_order_acq_rel,
                                          std::memory_order_relaxed));  // I8, E6
}

namespace {

// On the clock thread. A wake that has not been published yet is waited for, since what it gives is not there yet (I7).
void not_seen_yet(void* object, std::uint64_t generation) noexcept {
  auto& late = *static_cast<slot*>(object);
  const pin pinned{late};
  const std::uint64_t seen = late.claim.load(std::memory_order_acquire);
  if (!pinned.holds() || generation_of(seen) != generation) return;
  if (phase_of(seen) == phase::woken) {
    late.overdue(late);
  } else if (!is_result(phase_of(seen))) {
    clock_set(sys::steady_now_ns() + 1'000'000, &not_seen_yet, object, generation, late.overdue_alarm);
  }
}

}  // namespace

void expect_soon(slot& s, std::int64_t by_ns, void (*overdue)(slot&) noexcept) noexcept {
  s.overdue = overdue;
  clock_set(by_ns, &not_seen_yet, &s, generation_of(s.claim.load(std::memory_order_relaxed)), s.overdue_alarm);
}

pin::pin(slot& s) noexcept : slot_{s} {
  s.pins.fetch_add(1, std::memory_order_seq_cst);       // E4
  holds_ = s.pinnable.load(std::memory_order_seq_cst);  // E4
}
pin::~pin() { slot_.pins.fetch_sub(1, std::memory_order_release); }

namespace {

bool cancel_from(slot& s, std::uint64_t seen, phase result) noexcept {
  const std::uint64_t generation = generation_of(seen);
  for (;;) {
    const phase before = phase_of(seen);
    if (generation_of(seen) != generation) return false;  // I2
    if (before != phase::arming && before != phase::parked && before != phase::suspended) return false;
    if (s.claim.compare_exchange_weak(seen, make_claim(generation, result), std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {  // I1, E1, E3
      if (before == phase::suspended) {
        s.runs_on->post(s.work);
      } else if (before == phase::parked) {
        wake_thread(s);
      }
      return true;
    }
  }
}

}  // namespace

bool cancel(slot& s, std::uint64_t generation, phase result) noexcept {
  const std::uint64_t seen = s.claim.load(std::memory_order_acquire);
  return generation_of(seen) == generation && cancel_from(s, seen, result);
}

bool cancel_current(slot& s, phase result) noexcept {
  for (;;) {
    const std::uint64_t seen = s.claim.load(std::memory_order_acquire);  // E6
    if (s.redirected.load(std::memory_order_relaxed)) return false;      // I8
    if (cancel_from(s, seen, result)) return true;
    if (generation_of(s.claim.fetch_add(0, std::memory_order_acq_rel)) == generation_of(seen)) return false;  // E5
  }
}

// --- threads ---

namespace {

slot& slot_to_wait_in() noexcept {
  agent& self = current_agent();
  slot& own = self.slot();
  if (phase_of(own.claim.load(std::memory_order_relaxed)) == phase::idle) return own;
  return take_slot(self.what(), self.name(), self.runs_on(), nullptr);  // I10
}

}  // namespace

thread_wait::thread_wait(const resource& what, deadline until, std::source_location site) noexcept
    : slot_{slot_to_wait_in()} {
  slot_.item = nullptr;
  set_runs_on(slot_, current_agent().runs_on());
  const bool is_task = current_agent().what() == agent::kind::task;
  generation_ = begin_wait(slot_, what, until.ns(), site, is_task ? sys::thread_id() : 0);
  stack_due_ns_ = stack_is_due_at(slot_, what.kind);
}

thread_wait::~thread_wait() {
  if (stack_kept_) drop_stack(slot_);
  end_wait(slot_);
  if (slot_.index != current_agent().id()) free_slot(slot_);  // I10
}

void thread_wait::rearm() noexcept { generation_ = rearm_wait(slot_); }

bool thread_wait::redirected() const noexcept { return slot_.redirected.load(std::memory_order_relaxed); }

phase thread_wait::park(deadline until, const std::stop_token& stop, bool may_spin) noexcept {
  struct on_stop {
    slot* target;
    std::uint64_t generation;
    void operator()() const noexcept { cancel(*target, generation, phase::stopped); }
  };
  std::optional<std::stop_callback<on_stop>> watch;
  if (stop.stop_possible()) watch.emplace(stop, on_stop{&slot_, generation_});

  if (may_spin && sys::allowed_cpus() > 1) spin(until);
  (void)commit(slot_, phase::parked);
  for (;;) {
    const std::uint64_t seen = slot_.claim.load(std::memory_order_acquire);  // E1
    const phase now = phase_of(seen);
    if (is_result(now)) return now;
    // A claimed wait is about to be published, a redirected one waits for as long as it takes (I3, I8).
    const bool limited = now == phase::parked && generation_of(seen) == generation_;
    const std::int64_t end = limited ? until.ns() : never;
    const std::int64_t limit = std::min(end, stack_due_ns_);
    if (sys::futex_wait(futex_half(slot_), static_cast<std::uint32_t>(seen), limit) != ETIMEDOUT) continue;
    if (stack_due_ns_ < end) {
      keep_stack(slot_);
      stack_due_ns_ = never;
      stack_kept_ = true;
    } else {
      cancel(slot_, generation_, phase::timed_out);
    }
  }
}

// Looks at the claim for a while: about what it takes to wake a thread on another core, so that two that answer each
// other find each other awake again after one of them has slept. After n times in vain it lets 2^n - 1 waits pass
// without: whoever would answer may share the core, and then spinning only keeps it from answering.
void thread_wait::spin(deadline until) noexcept {
  constexpr std::int64_t budget_ns = 50'000;
  constexpr unsigned most_in_vain = 10;
  if (slot_.spins_to_skip != 0) {
    --slot_.spins_to_skip;
    return;
  }
  const std::int64_t end = std::min(sys::steady_now_ns() + budget_ns, until.ns());
  do {
    for (int i = 0; i < 32; ++i) {
      if (is_result(phase_of(slot_.claim.load(std::memory_order_relaxed)))) {
        slot_.spins_in_vain = 0;
        return;
      }
      sys::spin_pause();
    }
  } while (sys::steady_now_ns() < end);
  if (slot_.spins_in_vain < most_in_vain) ++slot_.spins_in_vain;
  slot_.spins_to_skip = static_cast<std::uint16_t>((1U << slot_.spins_in_vain) - 1);
}

// --- tasks ---

namespace {

// The agent's own: takes back what a waker's expect_soon set, which may ring at this moment (I7).
void silence(slot& s) noexcept {
  if (s.overdue == nullptr) return;
  clock_clear_and_wait(s.overdue_alarm, &s);
  s.overdue = nullptr;
}

}  // namespace

void task_wait::claimer::operator()() const noexcept { cancel_current(*target, result); }

std::coroutine_handle<> task_wait::start(const task_context& context) noexcept {
  if (observes_context_ && context.stop.stop_requested()) return go_on_(*this, true);
  if (stop_.stop_requested()) {
    refused(phase::stopped);
    return handle_;
  }
  if (refuses_late_ && until_.has_passed()) {
    refused(phase::timed_out);
    return handle_;
  }
  slot_ = &agent_->slot();
  set_runs_on(*slot_, agent_->runs_on());
  if (frame_ != nullptr && site_.line() == 0) site_ = frame_->at;
  slot_->item = this;
  slot_->work.run = &task_wait::resume_item;
  generation_ = begin_wait(*slot_, what_, until_.ns(), site_, 0);
  armed_ = true;
  // Registered while arming: a callback that fires meanwhile only claims, and commit finds the result (I4).
  if (stop_.stop_possible()) own_watch_.emplace(stop_, claimer{slot_, phase::stopped});
  if (observes_context_ && context.stop.stop_possible()) {
    context_stop_ = context.stop;
    context_watch_.emplace(context_stop_, claimer{slot_, phase::cancelled});
  }
  set_alarm(deadline::never());
  if (!enqueue()) {
    finish();
    return handle_;
  }
  return commit_or_continue();
}

// From the post on another thread may resume the task.
std::coroutine_handle<> task_wait::give_way() noexcept {
  run = [](work_item* item) noexcept {
    auto* self = static_cast<task_wait*>(item);
    const agent_scope scope{*self->agent_};
    self->gives_way_ = false;
    self->agent_->begin_turn();
    self->go_on_(*self, false).resume();
  };
  agent_->runs_on()->post_last(*this);
  return std::noop_coroutine();
}

void task_wait::set_alarm(deadline recheck) noexcept {
  const deadline when = recheck < until_ ? recheck : until_;
  if (when.is_never() || !clock_keeps_time_) return;
  clock_set(
      when.ns(),
      [](void* target, std::uint64_t generation) noexcept {
        cancel(*static_cast<slot*>(target), generation, phase::timed_out);
      },
      slot_, generation_, slot_->alarm);
}

void task_wait::recheck_at(deadline when) noexcept {
  clock_clear(slot_->alarm);
  set_alarm(when);
}

void task_wait::rearm() noexcept {
  clock_clear(slot_->alarm);
  silence(*slot_);
  if (slot_->redirected.load(std::memory_order_relaxed)) forget_limits();
  generation_ = rearm_wait(*slot_);
  if (stop_.stop_requested()) cancel(*slot_, generation_, phase::stopped);                                 // I6
  if (observes_context_ && context_stop_.stop_requested()) cancel(*slot_, generation_, phase::cancelled);  // I6
  set_alarm(deadline::never());
}

void task_wait::wait_instead_for(const resource& what) noexcept {
  finish();
  forget_limits();
  what_ = what;
  slot_->item = this;
  slot_->work.run = &task_wait::resume_item;
  generation_ = begin_wait(*slot_, what_, until_.ns(), site_, 0);
  armed_ = true;
}

void task_wait::forget_limits() noexcept {
  own_watch_.reset();
  context_watch_.reset();
  until_ = deadline::never();
  observes_context_ = false;
  stop_ = {};
}

// Returns what to run next on this thread. Never touches the frame once a commit has succeeded (I5).
std::coroutine_handle<> task_wait::commit_or_continue() noexcept {
  for (;;) {
    slot& s = *slot_;
    if (commit(s, phase::suspended)) return std::noop_coroutine();
    const step next_step = claimed(phase_of(s.claim.load(std::memory_order_acquire)));  // E1
    if (next_step == step::wait) continue;
    finish();
    return next_step == step::resume ? handle_ : go_on_(*this, true);
  }
}

void task_wait::resume_item(work_item* item) noexcept {
  task_wait* const self = reinterpret_cast<slot*>(reinterpret_cast<std::byte*>(item) - offsetof(slot, work))->item;
  const agent_scope scope{*self->agent_};
  self->agent_->begin_turn();
  const step next_step = self->claimed(phase_of(self->slot_->claim.load(std::memory_order_acquire)));  // E1
  if (next_step == step::wait) {
    self->commit_or_continue().resume();
    return;
  }
  self->finish();
  (next_step == step::resume ? self->handle_ : self->go_on_(*self, true)).resume();
}

void task_wait::finish() noexcept {
  own_watch_.reset();
  context_watch_.reset();
  clock_clear(slot_->alarm);
  silence(*slot_);
  end_wait(*slot_);
  slot_->item = nullptr;
  armed_ = false;
}

void task_wait::abandon() const noexcept {
  if (armed_) fatal("a task was destroyed while it waits; stop it and await its end instead");
  if (gives_way_) fatal("a task was destroyed while it lets others run; stop it and await its end instead");
}

}  // namespace heddle::park
