#pragma once

#include <heddle/park/agent.hpp>
#include <heddle/park/holds.hpp>
#include <heddle/park/phase.hpp>
#include <heddle/park/resource.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <source_location>

namespace heddle::park {

class task_wait;

/// The public half of an agent's slot: lies in a memory file that another process can map, so it holds no pointer that
/// is needed to understand it. All fields are atomics under a sequence count: the agent makes `sequence` odd, writes
/// with release order, makes it even; a reader that sees an odd or changed count tries again.
///
/// Who may write: the slot's agent; while the wait is claimed, whoever has claimed it; and whoever takes or frees the slot
/// while it has no agent.
struct record {
  std::atomic<std::uint32_t> sequence;
  /// Bits 0-7 agent kind + 1 (0: no agent), 8-15 resource kind, 16 named, 17 shared, 18 breakable (see
  /// resource), 19: the thread that the wait blocks has been replaced (see blocking_region).
  std::atomic<std::uint32_t> info;
  std::atomic<std::uint64_t> generation;
  std::atomic<std::uint64_t> resource;  ///< its address; 0 while it does not wait
  std::atomic<std::uint64_t> made;      ///< the name's or source location's address in the owning process
  std::atomic<std::uint64_t> site;      ///< the waiting call's source location, likewise
  std::atomic<std::int64_t> since_ns;
  std::atomic<std::int64_t> until_ns;
  std::atomic<std::uint32_t> thread;  ///< the kernel's thread id: the thread itself, or the one a task blocks; else 0
  std::atomic<std::uint32_t> owner;   ///< the holder's id when the wait began
  std::atomic<std::uint64_t> name[6];
  /// Where the holder's id stands now: its address in the owning process, and in bits 56-63 how far it is shifted there;
  /// 0: nowhere.
  std::atomic<std::uint64_t> owner_word;
};
static_assert(sizeof(record) <= 128);

/// The private half of an agent's slot: its wait node. Type-stable: a slot's memory is never returned, so a late
/// canceller or waker may look at it at any time; the generation tells it that the wait it meant is over.
struct alignas(64) slot {
  // What it takes to wake a suspended task lies in the first 64 bytes, up to work.next: a wake among a million waiters
  // costs one miss here, and none in the task's frame (peers/wait_million).

  /// generation << 8 | phase. Moves only as phase.hpp says. The low half is the futex word of a parked thread.
  std::atomic<std::uint64_t> claim;

  // Written by the slot's agent before it enters a queue; read by others under that queue's lock.
  std::uint32_t index;   ///< this slot's own index
  std::uint32_t amount;  ///< how much the waiter wants: permits; 1 for a lock

  // Under the lock of the queue in which the node stands.
  std::uint32_t next;
  std::uint32_t previous;
  bool queued;

  std::atomic<bool> pinnable;  ///< see pins
  std::uint8_t owner_shift;
  std::atomic<bool> redirected;  ///< this wait, by its waker: see redirect()

  /// The pin: a reader that must look at the resource raises `pins`, then checks `pinnable`; the agent lowers
  /// `pinnable`, then waits for `pins` to fall to zero before its wait returns. Both seq_cst (E4 in wait.cpp).
  std::atomic<std::uint32_t> pins;

  // As amount.
  std::int64_t since_ns;  ///< when this wait first queued up; kept over retries
  executor* runs_on;      ///< null: a thread of no executor; read by any thread, so changed by set_runs_on()
  task_wait* item;  ///< null: a thread waits; else the wait of the suspended task, whose `work` is posted to runs_on
  work_item work;   ///< `run` resumes the task; set by the agent, `next` is the executor's
  void* payload;    ///< for the primitive: where a value goes to or comes from
  void (*overdue)(slot&) noexcept;  ///< called on the clock thread when a woken task has not been seen for 1 ms;
                                    ///< set by a waker between claim and publish, cleared by the agent

  const std::atomic<std::uint32_t>* owner_word;
  const void* resource_address;
  std::uint8_t spins_in_vain;   ///< the agent's own: how often in a row its spinning was not answered
  std::uint16_t spins_to_skip;  ///< the agent's own: how many waits it does not spin before it tries again

  std::atomic<std::uint32_t> alarm;  ///< the clock's entry for the deadline; set and cleared by the agent
  const void* awaited_by;            ///< see agent::is_awaited_by(); written while the slot has no wait
  std::atomic<std::uint32_t>
      overdue_alarm;        ///< the clock's entry for `overdue`; set by a waker between claim and publish
  std::uint32_t next_free;  ///< while the slot has no agent
};
static_assert(offsetof(slot, work) + sizeof(work_item*) == 64);
static_assert(sizeof(slot) <= 128);

/// At most this many agents can hold or wait at a time.
inline constexpr std::uint32_t max_slots = 1U << 24;

inline void set_runs_on(slot& s, executor* where) noexcept {
  std::atomic_ref{s.runs_on}.store(where, std::memory_order_relaxed);
}

[[nodiscard]] slot& slot_at(std::uint32_t index) noexcept;
[[nodiscard]] record& record_at(std::uint32_t index) noexcept;
[[nodiscard]] hold_list& holds_at(std::uint32_t index) noexcept;

/// One more than the largest index ever taken.
[[nodiscard]] std::uint32_t slots_in_use_end() noexcept;

/// What stands in the place of record 0, which is nobody's: what this file is, for other processes.
struct file_head {
  static constexpr std::uint64_t magic = 0x656c'6464'6568;  ///< "heddle"
  static constexpr std::uint32_t version = 2;               ///< grows with every change of record or hold_list

  std::atomic<std::uint64_t> is;  ///< magic
  std::atomic<std::uint32_t> written_in;
  std::atomic<std::uint32_t> records;  ///< how many there is room for
  std::atomic<std::uint32_t> end;      ///< one more than the largest index ever taken
  std::atomic<std::uint32_t> process;  ///< whose agents these are
};
static_assert(sizeof(file_head) <= sizeof(record));

/// The name of the memory file, as the kernel shows it to other processes.
inline constexpr const char* record_file_name = "heddle-agents";

/// The memory file: all records, then all hold lists.
inline constexpr std::size_t record_file_size = (sizeof(record) + sizeof(hold_list)) * max_slots;

/// The descriptor of the memory file that holds the records, or -1 before the first agent.
[[nodiscard]] int record_file() noexcept;

/// Takes a free slot for an agent; fatal when all are taken.
[[nodiscard]] slot& take_slot(agent::kind kind, const char* name, executor* runs_on, const void* awaited_by) noexcept;
void free_slot(slot& s) noexcept;

/// Takes a slot that is no agent's and shows no record: a node with which a wait stands in one more queue, beside that of
/// its agent. Nobody claims it: its payload must lead to the slot that is claimed.
/// - It is no agent's. [test: agent.a_further_node_shows_no_agent]
[[nodiscard]] slot& take_node() noexcept;
/// It must not stand in a queue.
void free_node(slot& s) noexcept;

// --- the claim (transitions of phase.hpp) ---

[[nodiscard]] constexpr phase phase_of(std::uint64_t claim) noexcept { return static_cast<phase>(claim & 0xff); }
[[nodiscard]] constexpr std::uint64_t generation_of(std::uint64_t claim) noexcept { return claim >> 8; }
[[nodiscard]] constexpr std::uint64_t make_claim(std::uint64_t generation, phase p) noexcept {
  return generation << 8 | static_cast<std::uint64_t>(p);
}

/// Starts a wait: the record shows it, the phase is `arming`. Returns the wait's generation.
std::uint64_t begin_wait(slot& s, const resource& what, std::int64_t until_ns, std::source_location site,
                         std::uint32_t blocked_thread) noexcept;

/// Starts the next attempt of the same wait: a new generation, again `arming`; record and age stay.
std::uint64_t rearm_wait(slot& s) noexcept;

/// Ends the wait: nobody can pin it any more, the phase is `idle`.
void end_wait(slot& s) noexcept;

/// The agent is about to sleep: `arming` -> `asleep`, which is `parked` or `suspended`, or `claimed` ->
/// `claimed_suspended`. False: the wait has its result.
[[nodiscard]] bool commit(slot& s, phase asleep) noexcept;

/// First half of ending another's wait: afterwards no timeout, stop or other waker can end it. Only the one for whom
/// this returns true may, and must, call publish(), or readdress() and redirect(). Call it while the node cannot leave
/// (under its queue's lock).
[[nodiscard]] bool claim(slot& s) noexcept;

/// Second half: tells the waiter `result` and wakes it. The waiter may be gone as soon as this begins to return.
void publish(slot& s, phase result) noexcept;

/// Instead of publish(), in two steps; the waiter sleeps on. First the wait is shown as one for `what` since `now_ns`,
/// without a limit. Under no lock: it may have to wait for a reader (see pin).
void readdress(slot& s, const resource& what, std::int64_t now_ns) noexcept;

/// Then it may be claimed again, in a new generation; under the lock of the queue in which the node stands now. Neither
/// its deadline nor its stop ends it any more. A thread gets its result from thread_wait::park(), a task in
/// task_wait::claimed(); both call rearm() before another attempt.
void redirect(slot& s) noexcept;

/// Between claim() and publish(woken) of a task: if it has not acted on the wake by `by_ns` (its executor is busy),
/// `overdue` is called on the clock thread, with the wait pinned; not before the wake has been published. At most once
/// per claim.
void expect_soon(slot& s, std::int64_t by_ns, void (*overdue)(slot&) noexcept) noexcept;

/// Keeps a wait from ending while it lives, so that the resource of the wait can be looked at: see slot::pins. Only for
/// a few reads; never wait under it.
class pin {
 public:
  explicit pin(slot& s) noexcept;
  ~pin();
  pin(const pin&) = delete;
  pin& operator=(const pin&) = delete;
  /// False: the slot does not wait.
  [[nodiscard]] bool holds() const noexcept { return holds_; }

 private:
  slot& slot_;
  bool holds_;
};

/// Both halves at once, for cancellers: ends the wait of this generation with `result` unless it has ended.
bool cancel(slot& s, std::uint64_t generation, phase result) noexcept;

/// As cancel(), whatever the generation; for callbacks that cannot outlive the wait.
bool cancel_current(slot& s, phase result) noexcept;

}  // namespace heddle::park
