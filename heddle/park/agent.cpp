// Agents and their slots.
//
// State. Three parallel tables, reserved once and touched page by page: slots (private: wait nodes), records and hold
//   lists (both in a memory file: what another process may read). Index 0 is nobody. Free slots form a stack linked by index; `free_head` is
//   tag << 32 | index, the tag grows with each change so that a stack that came back to the same head is not mistaken
//   for an unchanged one. Indices never used so far are handed out by `next_unused`.
// Invariants.
//   I1  A slot belongs to at most one agent; memory of slots is never returned.
//   I2  A slot goes back only when its agent neither waits nor holds. A thread that ends holding a lock keeps its slot
//       for ever, so that the lock's owner id names nobody else.
// Edges.
//   E1  free_slot's release on free_head -> take_slot's acquire: what the former agent left is seen by the next one.
// Rejected. An address-hashed table of parking places: 22 microseconds per wake with a million waiters.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/park/agent.hpp>
#include <heddle/park/internal/clock.hpp>
#include <heddle/park/internal/current.hpp>
#include <heddle/park/internal/diagnosis.hpp>
#include <heddle/park/internal/long_wait.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/identity.hpp>
#include <heddle/sys/memory.hpp>
#include <heddle/sys/other_process.hpp>
#include <heddle/sys/restartable.hpp>
#include <heddle/sys/thread.hpp>

#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>

namespace heddle {
namespace park {

constinit thread_local agent* running_agent [[gnu::tls_model("initial-exec")]] = nullptr;
constinit std::atomic<const diagnosis_hooks*> diagnosis{nullptr};
constinit std::atomic<std::uint32_t> orders_changed{0};
constinit std::atomic<bool> look_is_due{false};
constinit std::atomic<bool> items_are_watched{false};

namespace {

constinit std::atomic<std::uint64_t> free_head{0};
constinit std::atomic<std::uint32_t> next_unused{1};
constinit std::atomic<int> record_descriptor{-1};

constinit slot* slots = nullptr;
constinit record* records = nullptr;
constinit hold_list* holds = nullptr;

// From so many agents on their slots lie in huge pages: programs with fewer do not pay for a whole one.
constexpr std::uint32_t crowd = 16'384;

hold_list* holds_behind(record* table) noexcept { return reinterpret_cast<hold_list*>(table + max_slots); }

file_head& head_of(record* table) noexcept { return *reinterpret_cast<file_head*>(table); }

record* make_record_file() noexcept {
  const sys::shared_mapping file = sys::map_memory_file(record_file_name, record_file_size);
  record_descriptor.store(file.descriptor, std::memory_order_release);
  auto* const table = static_cast<record*>(file.address);
  file_head& head = head_of(table);
  head.written_in.store(file_head::version, std::memory_order_relaxed);
  head.records.store(max_slots, std::memory_order_relaxed);
  head.process.store(sys::process_id(), std::memory_order_relaxed);
  head.end.store(slots_in_use_end(), std::memory_order_relaxed);
  head.is.store(file_head::magic, std::memory_order_release);
  return table;
}

// Others know that an index is in use before its record says whose it is.
void tell_of_index(std::uint32_t index) noexcept {
  std::atomic<std::uint32_t>& end = head_of(records).end;
  std::uint32_t seen = end.load(std::memory_order_relaxed);
  while (seen <= index && !end.compare_exchange_weak(seen, index + 1, std::memory_order_release)) {
  }
}

void after_fork_in_child() noexcept;

// Whoever knows an index got it, directly or through others, from somebody who had been here; so slot_at and record_at
// need no guard.
// Two copies of this module, each linked into a shared object of its own, would each number the agents from 1: one's mutex
// would take the other's agents for its own.
void refuse_a_second_copy() noexcept {
  const std::uint32_t self = sys::process_id();
  const auto found = sys::map_memory_file_of(self, record_file_name, sizeof(file_head));
  if (!found) return;
  const auto& head = *static_cast<const file_head*>(found->address);
  const bool is_ours = head.is.load(std::memory_order_acquire) == file_head::magic &&
                       head.process.load(std::memory_order_relaxed) == self;
  sys::unmap(*found);
  if (is_ours) {
    fatal(
        "two copies of heddle are linked into this process, and their locks cannot see each other's agents; link "
        "heddle "
        "into one shared object, and everything else against that");
  }
}

void make_tables_once() noexcept {
  static const bool made = [] {
    refuse_a_second_copy();
    slots = static_cast<slot*>(sys::reserve_private(sizeof(slot) * max_slots));
    sys::prefer_huge_pages(slots + crowd, sizeof(slot) * (max_slots - crowd));
    records = make_record_file();
    holds = holds_behind(records);
    sys::allow_restarts();
    reserve_stacks();
    watch_for_exit();
    sys::at_fork([]() { clock_before_fork(); }, []() { clock_after_fork(false); }, []() { after_fork_in_child(); });
    return true;
  }();
  (void)made;
}

void set_record(record& r, agent::kind kind, std::string_view name, std::uint32_t thread) noexcept {
  const std::uint32_t sequence = r.sequence.load(std::memory_order_relaxed);
  r.sequence.store(sequence + 1, std::memory_order_relaxed);
  std::uint64_t words[6] = {};
  std::memcpy(words, name.data(), name.size() < sizeof words ? name.size() : sizeof words - 1);
  for (unsigned i = 0; i < 6; ++i) r.name[i].store(words[i], std::memory_order_release);
  r.thread.store(thread, std::memory_order_release);
  r.resource.store(0, std::memory_order_release);
  r.info.store(static_cast<std::uint32_t>(kind) + 1, std::memory_order_release);
  r.sequence.store(sequence + 2, std::memory_order_release);
}

// The child has one thread and a copy of the private table. Its records would be the parent's: it maps a fresh file in
// their place and shows only the forking thread and the task that it runs. The other threads' slots stay taken (I2):
// what they held stays held, and stays listed.
// Whoever had pinned a wait is not here to let go of it. Threads that waited are not here either: their waits are over, so
// that no wake is spent on them.
void after_fork_in_child() noexcept {
  clock_after_fork(true);
  sys::allow_restarts();
  for (std::uint32_t i = 1; i < slots_in_use_end(); ++i) {
    slot& s = slots[i];
    s.pins.store(0, std::memory_order_relaxed);
    if (s.item == nullptr) s.claim.store(make_claim(generation_of(s.claim.load()), phase::idle));
  }
  const int inherited = record_descriptor.load(std::memory_order_relaxed);
  record* const fresh = make_record_file();
  for (std::uint32_t i = 1; i < slots_in_use_end(); ++i) {
    if (holds[i].count() != 0) holds_behind(fresh)[i].copy_from(holds[i]);
  }
  sys::move_mapping(fresh, record_file_size, records);
  sys::close_memory_file(inherited);
  char name[16] = {};
  sys::thread_name(name, sizeof name);
  if (const std::uint32_t id = thread_agent().id_if_any(); id != 0) {
    set_record(record_at(id), agent::kind::thread, name, sys::thread_id());
  }
  const agent& self = current_agent();
  if (const std::uint32_t id = self.id_if_any(); id != 0 && self.what() == agent::kind::task) {
    set_record(record_at(id), agent::kind::task, self.name() != nullptr ? self.name() : "", 0);
  }
}

}  // namespace

slot& slot_at(std::uint32_t index) noexcept { return slots[index]; }
record& record_at(std::uint32_t index) noexcept { return records[index]; }
hold_list& holds_at(std::uint32_t index) noexcept { return holds[index]; }
std::uint32_t slots_in_use_end() noexcept { return next_unused.load(std::memory_order_acquire); }
int record_file() noexcept { return record_descriptor.load(std::memory_order_acquire); }

namespace {

slot& take_index() noexcept {
  make_tables_once();
  std::uint32_t index = 0;
  std::uint64_t head = free_head.load(std::memory_order_acquire);  // E1
  while ((index = static_cast<std::uint32_t>(head)) != 0) {
    const std::uint64_t next =
        ((head >> 32) + 1) << 32 | std::atomic_ref{slots[index].next_free}.load(std::memory_order_relaxed);
    if (free_head.compare_exchange_weak(head, next, std::memory_order_acquire)) break;  // E1
  }
  if (index == 0) {
    index = next_unused.fetch_add(1, std::memory_order_acq_rel);
    if (index >= max_slots) fatal("more than 16 million agents hold or wait at once");
    tell_of_index(index);
  }
  slots[index].index = index;
  return slots[index];
}

void free_index(slot& s) noexcept {
  std::uint64_t head = free_head.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    std::atomic_ref{s.next_free}.store(static_cast<std::uint32_t>(head), std::memory_order_relaxed);
    next = ((head >> 32) + 1) << 32 | s.index;
  } while (!free_head.compare_exchange_weak(head, next, std::memory_order_release));  // E1
}

}  // namespace

slot& take_slot(agent::kind kind, const char* name, executor* runs_on, const void* awaited_by) noexcept {
  slot& s = take_index();
  set_runs_on(s, runs_on);
  std::atomic_ref{s.awaited_by}.store(awaited_by, std::memory_order_relaxed);
  char buffer[16] = {};
  if (name == nullptr && kind == agent::kind::thread) sys::thread_name(buffer, sizeof buffer);
  set_record(records[s.index], kind, name != nullptr ? name : buffer,
             kind == agent::kind::thread ? sys::thread_id() : 0);
  return s;
}

void free_slot(slot& s) noexcept {
  record& r = record_at(s.index);
  const std::uint32_t sequence = r.sequence.load(std::memory_order_relaxed);
  r.sequence.store(sequence + 1, std::memory_order_relaxed);
  r.info.store(0, std::memory_order_release);
  r.sequence.store(sequence + 2, std::memory_order_release);
  free_index(s);
}

slot& take_node() noexcept {
  slot& s = take_index();
  set_runs_on(s, nullptr);
  s.item = nullptr;
  return s;
}

void free_node(slot& s) noexcept { free_index(s); }

}  // namespace park

namespace {

// Reached only through functions that are not inlined: see current_agent().
constinit thread_local agent own_agent{agent::kind::thread, nullptr, nullptr};

}  // namespace

agent& current_agent() noexcept {
  if (park::running_agent == nullptr) [[unlikely]] {
    park::running_agent = &own_agent;
  }
  return *park::running_agent;
}

agent& thread_agent() noexcept { return own_agent; }

agent_scope::agent_scope(agent& which) noexcept : before_{&current_agent()} { park::running_agent = &which; }
agent_scope::~agent_scope() { park::running_agent = before_; }

park::slot& agent::slot() noexcept { return park::slot_at(id()); }

std::uint32_t agent::take_slot() noexcept {
  park::slot& taken = park::take_slot(kind_, name_, executor_, awaited_by_);
  id_ = taken.index;
  holds_ = &park::holds_at(id_);
  holds_->begin_tenure();
  known_pair_ = 0;
  if (kind_ == kind::thread) {
    sys::at_thread_exit([](void* self) { static_cast<agent*>(self)->end(); }, this);
  }
  return id_;
}

void agent::move_to(executor* other) noexcept {
  executor_ = other;
  if (id_ != 0) park::set_runs_on(park::slot_at(id_), executor_);
}

void agent::holds_another(const void* lock, park::held_as how, const void* taken_at) noexcept {
  const std::uint64_t pair = holds_->pair_with(how, park::orders_changed.load(std::memory_order_acquire));
  holds_->add_another(lock, how, taken_at);
  if (pair != 0 && pair == known_pair_) [[likely]]
    return;
  tell_of_another(how, pair);
}

void agent::tell_of_another(park::held_as how, std::uint64_t pair) noexcept {
  if (how.tried()) return;
  const park::diagnosis_hooks* hooks = park::diagnosis.load(std::memory_order_acquire);
  if (hooks != nullptr && hooks->took_another(*this)) known_pair_ = pair;
}

void agent::end() noexcept {
  if (id_ == 0) return;
  if (const std::uint32_t held_now = held(); held_now != 0) {
    if (kind_ == kind::task) fatal("a task has ended while it holds a lock; release it before the task returns");
    std::fprintf(stderr, "heddle: thread %u has ended while it holds %u lock(s); they stay locked for ever\n",
                 sys::thread_id(), held_now);
  } else {
    park::free_slot(park::slot_at(id_));  // I2
  }
  id_ = 0;
  holds_ = nullptr;
}

}  // namespace heddle
