// The order of locks: which were taken while which others were held, and what contradicts it.
//
// A chain is what an agent holds, oldest first; the newest one has just been taken. Its order concerns pairs: each older
// lock and the newest (the older ones among themselves were studied when they were taken).
//
// State. `known` and `known_of_locks`: hashes of chains that were studied, looked up without a lock. `classes`: what a
//   lock's class is. The graph: a node for each class, or each lock, and the pairs. All but the lookups under `lock`.
//   A chain's hash is made of classes and modes; where two locks have to be told apart, of their addresses, too, and then
//   it is in the second table. They are told apart when both are of one class, when their class has no place, and when
//   a lock of their class once was the gate that kept a circle from being a deadlock: another one would not.
// Invariants.
//   I1  A chain is put into a table by who adds its pairs to the graph, as far as there is room: a chain whose pairs do
//       not fit is not looked at again either. Its hash tells apart what its pairs tell apart. When a class turns out to
//       be a gate, the hashes of its chains change, and they are studied once more.
//   I2  A chain that was seen by one agent only is studied again for the second one. Two are enough: a circle needs two.
//   I3  A node that stands for one lock has edges only if that lock carries a mark. Who finds it without is the first to
//       see a new lock at that address, and clears the node.
//   I4  Nobody is called under `lock`: it is let go before the text of a report is made. Nothing is allocated under it,
//       so that an allocator may use the locks that are studied here.
//   I5  Locks that are taken while a report is delivered are not studied: a handler cannot make reports of its own.
//   I6  An agent remembers the last pair of two classes that was known by them, and asks no more about it until a class is
//       told apart. A pair for which the addresses count is never remembered.
// Edges. None is needed for the tables: a word is all there is to know. A class's id is written before its address (release),
//   and read after it (acquire). E1 park::orders_changed: release by who tells a class apart -> acquire by the agent, before
//   it looks its chain up: what it then remembers was looked up with that class told apart.
// Progress. A miss takes `lock`, so a program that makes new chains all the time would do so all the time. The tables
//   bound that: once they are full, a miss costs a look; single locks are forgotten every ten seconds at most.
// Cost. known chain: see lock_order.bench.cpp.
// Rejected. Every order of single locks for ever: memory grows with the number of locks. Pairs in the table instead of
//   chains: one look for each lock held, and the gates would be lost. Telling the gates apart from the start: each lock of
//   a class makes a new chain of all below it. A hook in the destructor of locks: they would all pay for the few.
// Source. The kernel's documentation, locking/lockdep-design: classes, chains, readers.

#include <heddle/park/internal/slot.hpp>
#include <heddle/park/internal/small_lock.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/memory.hpp>
#include <heddle/sys/thread.hpp>
#include <heddle/watch/internal/known_chains.hpp>
#include <heddle/watch/internal/lock_classes.hpp>
#include <heddle/watch/internal/lock_order.hpp>
#include <heddle/watch/internal/names.hpp>
#include <heddle/watch/internal/order_graph.hpp>
#include <heddle/watch/internal/symbols.hpp>
#include <heddle/watch/lock_order.hpp>
#include <heddle/watch/report.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>
#include <optional>
#include <string>

namespace heddle::watch {
namespace {

using park::held_as;
using park::hold;
using park::hold_list;
using park::hold_mode;

constinit std::atomic<bool> switched_on{true};
constinit known_chains known;
constinit known_chains known_of_locks;
constinit lock_classes classes;
constinit std::atomic<bool> full{false};

void say_full() noexcept {
  if (full.load(std::memory_order_relaxed) || full.exchange(true, std::memory_order_relaxed)) return;
  std::fputs("heddle: more orders of locks than can be kept; further ones are not studied\n", stderr);
}

// --- the hash of a chain ---

struct chain_hash {
  std::uint64_t value;
  bool of_locks;  // addresses are part of it
};

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) noexcept {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
  return hash ^ hash >> 29U;
}

constexpr std::uint64_t seed = 0x2545f4914f6cdd1dULL;
constexpr std::uint64_t class_mask = held_as{~0ULL}.lock_class();
constexpr std::uint64_t hashed_mask = class_mask | 1ULL << 57U;  // and the mode

bool same_class(std::uint64_t a, std::uint64_t b) noexcept { return ((a ^ b) & class_mask) == 0; }

// While a class is the same address.
chain_hash hash_plain(const hold_list& held, std::uint32_t n) noexcept {
  const hold newest = held.at(n - 1);
  chain_hash hash{mix(seed, newest.how.bits() & hashed_mask), false};
  for (std::uint32_t i = 0; i + 1 < n; ++i) {
    const hold older = held.at(i);
    hash.value = mix(hash.value, older.how.bits() & hashed_mask);
    if (!same_class(older.how.bits(), newest.how.bits())) [[likely]]
      continue;
    hash.of_locks = true;
    hash.value = mix(hash.value, reinterpret_cast<std::uint64_t>(older.lock));
  }
  if (hash.of_locks) hash.value = mix(hash.value, reinterpret_cast<std::uint64_t>(newest.lock));
  return hash;
}

// When classes have to be looked up. The same as hash_plain() for chains without anything special.
chain_hash hash_special(const hold_list& held, std::uint32_t n) noexcept {
  const hold newest = held.at(n - 1);
  const lock_classes::entry of_newest = classes.find(newest.how);
  chain_hash hash{mix(seed, newest.how.bits() & hashed_mask), of_newest.by_instance};
  bool tell_newest = of_newest.by_instance;
  for (std::uint32_t i = 0; i + 1 < n; ++i) {
    const hold older = held.at(i);
    const lock_classes::entry its = classes.find(older.how);
    const bool of_one_class = its.found() && its.id == of_newest.id;
    hash.value = mix(hash.value, older.how.bits() & hashed_mask);
    if (!its.by_instance && !of_one_class) continue;
    hash.of_locks = true;
    hash.value = mix(hash.value, reinterpret_cast<std::uint64_t>(older.lock));
    tell_newest = tell_newest || of_one_class;
  }
  if (tell_newest) hash.value = mix(hash.value, reinterpret_cast<std::uint64_t>(newest.lock));
  return hash;
}

chain_hash hash_of(const hold_list& held, std::uint32_t n) noexcept {
  return classes.any_special() ? hash_special(held, n) : hash_plain(held, n);
}

// Tells agents apart, also those that have had the same slot one after the other.
std::uint64_t identity_of(const agent& self) noexcept { return self.holds().tenure() << 24U | self.id_if_any(); }

std::uint64_t tag_of(std::uint64_t identity) noexcept { return identity * 0x9e3779b97f4a7c15ULL >> 40U | 1U; }

// --- the study of a chain ---

// What is to be told once the lock has been let go.
struct finding {
  std::uint32_t length = 0;  // 0: a lock was read twice
  struct step {
    order_graph::name from;
    order_graph::name to;
    order_graph::sighting seen;
  };
  step steps[order_graph::max_length];
};

struct findings {
  static constexpr std::uint32_t most = 3;
  std::uint32_t count = 0;
  finding found[most];
};

class study_room {
 public:
  /// Never destroyed, and of no cost before it is used. The pages that are not needed stay untouched.
  static study_room& the() noexcept {
    static study_room* const made = [] {
      sys::at_fork([] { the().lock_.lock(); }, [] { the().lock_.unlock(); }, [] { the().lock_.unlock(); });
      return new (sys::reserve_private(sizeof(study_room))) study_room;
    }();
    return *made;
  }

  void study(agent& self, std::uint32_t n, findings& out) noexcept;
  /// The tables of single locks are full: what was learned of them goes, so that those of now are learned.
  void make_room() noexcept {
    const std::lock_guard guard{lock_};
    forget_locks();
  }
  lock_order_state state() noexcept;

 private:
  study_room() noexcept
      : graph_{{.is_written = [](std::uint16_t id) noexcept { return classes.marks_of(id).written; },
                .was_a_gate = [](std::uint16_t id) noexcept { classes.tell_apart(id); }}} {}

  [[nodiscard]] order_graph::index node_of(const hold& lock, std::uint16_t its, bool alone) noexcept;
  void forget_locks() noexcept;
  void note_writers(findings& out) noexcept;
  void look_for_circles(order_graph::index edge, findings& out) noexcept;

  park::small_lock lock_;
  std::size_t chains_ = 0;
  std::size_t chains_of_locks_ = 0;
  std::int64_t forgotten_at_ = 0;
  // The chain that is studied.
  std::uint32_t n_ = 0;
  std::array<hold, hold_list::capacity> held_;
  std::array<std::uint16_t, hold_list::capacity> class_;
  order_graph graph_;
};

void fill_in(order_graph::sighting& seen, agent& self, std::uint64_t identity) noexcept {
  seen.by = identity;
  seen.agent = self.id_if_any();
  seen.kind = self.what();
  const park::record& r = park::record_at(seen.agent);
  std::uint64_t words[sizeof seen.agent_name / 8];
  for (std::size_t i = 0; i < std::size(words); ++i) words[i] = r.name[i].load(std::memory_order_relaxed);
  std::memcpy(seen.agent_name, words, sizeof words);
  seen.agent_name[sizeof seen.agent_name - 1] = '\0';
}

// I3
order_graph::index study_room::node_of(const hold& lock, std::uint16_t its, bool alone) noexcept {
  if (!alone) return graph_.node(its, nullptr);
  const std::size_t offset = lock.how.queue_at();
  if (offset == 0) return order_graph::nothing;
  const order_graph::index n = graph_.node(its, lock.lock);
  if (n == order_graph::nothing) return n;
  // It is held, so it is there.
  auto* queue = reinterpret_cast<park::queue*>(const_cast<char*>(static_cast<const char*>(lock.lock)) + offset);
  if (!park::queue_guard{*queue}.note()) graph_.clear_node(n);
  return n;
}

void study_room::look_for_circles(order_graph::index edge, findings& out) noexcept {
  order_graph::circle circle;
  while (out.count < findings::most && graph_.find_circle(edge, circle)) {
    finding& f = out.found[out.count++];
    f.length = circle.length;
    for (std::uint32_t i = 0; i < circle.length; ++i) {
      const order_graph::step& s = circle.steps[i];
      f.steps[i] = {graph_.name_of(s.from), graph_.name_of(s.to), *s.seen};
    }
  }
}

// Readers of a class that is written may wait for each other: what was no circle before may be one now.
void study_room::note_writers(findings& out) noexcept {
  bool news = false;
  for (std::uint32_t i = 0; i < n_; ++i) {
    if (held_[i].how.mode() != hold_mode::exclusive || held_[i].how.tried()) continue;
    bool& written = classes.marks_of(class_[i]).written;
    news = news || !written;
    written = true;
  }
  if (!news) return;
  for (auto e = graph_.next_contrary(order_graph::nothing); e != order_graph::nothing; e = graph_.next_contrary(e)) {
    look_for_circles(e, out);
  }
}

void study_room::study(agent& self, std::uint32_t n, findings& out) noexcept {
  const std::lock_guard guard{lock_};
  if (graph_.was_full_of_locks()) forget_locks();
  const hold_list& holds = self.holds();
  n_ = n;
  bool complete = true;
  for (std::uint32_t i = 0; i < n; ++i) {
    held_[i] = holds.at(i);
    const std::uint32_t id = classes.intern(held_[i].how);
    class_[i] = static_cast<std::uint16_t>(id);
    complete = complete && id != lock_classes::none;
  }
  const std::uint64_t identity = identity_of(self);
  const chain_hash hash = hash_of(holds, n);
  known_chains& table = hash.of_locks ? known_of_locks : known;
  if (table.find(hash.value, tag_of(identity)) != known_chains::answer::unknown) return;
  if (table.add(hash.value, tag_of(identity)) > 0) ++(hash.of_locks ? chains_of_locks_ : chains_);  // I1
  if (!complete) return say_full();

  note_writers(out);
  const std::uint32_t last = n - 1;
  const hold& newest = held_[last];
  order_graph::sighting seen;
  fill_in(seen, self, identity);
  seen.second_at = newest.taken_at;
  seen.second_shared = newest.how.mode() == hold_mode::shared;
  for (std::uint32_t i = 0; i < last; ++i) {
    const hold& older = held_[i];
    if (older.lock == newest.lock) {
      lock_classes::marks& marks = classes.marks_of(class_[i]);
      if (seen.second_shared && older.how.mode() == hold_mode::shared && !marks.recursion_told &&
          out.count < findings::most) {
        marks.recursion_told = true;
        finding& f = out.found[out.count++];
        f.length = 0;
        f.steps[0] = {{class_[i], nullptr}, {class_[i], nullptr}, seen};
        f.steps[0].seen.first_at = older.taken_at;
        f.steps[0].seen.held_locks = 0;
      }
      continue;
    }
    const bool one_class = class_[i] == class_[last];
    const auto alone = [&](std::uint32_t k) { return one_class || classes.marks_of(class_[k]).placeless; };
    const order_graph::index from = node_of(older, class_[i], alone(i));
    const order_graph::index to = node_of(newest, class_[last], alone(last));
    if (from == order_graph::nothing || to == order_graph::nothing) continue;
    seen.first_at = older.taken_at;
    seen.first_shared = older.how.mode() == hold_mode::shared;
    seen.held_locks = 0;
    const auto add = [&](std::uint32_t k) {
      seen.held[seen.held_locks++] = {held_[k].lock, class_[k], held_[k].how.mode() == hold_mode::shared};
    };
    add(i);
    for (std::uint32_t k = 0; k < last; ++k) {
      if (k != i && held_[k].lock != newest.lock) add(k);
    }
    const order_graph::index edge = graph_.add(from, to, seen);
    if (edge != order_graph::nothing) look_for_circles(edge, out);
  }
  if (graph_.was_full()) say_full();
}

void study_room::forget_locks() noexcept {
  constexpr std::int64_t pause = 10'000'000'000;
  const std::int64_t now = sys::steady_now_ns();
  if (forgotten_at_ != 0 && now - forgotten_at_ < pause) return;
  forgotten_at_ = now;
  graph_.forget_locks();
  known_of_locks.clear();
  chains_of_locks_ = 0;
}

lock_order_state study_room::state() noexcept {
  const std::lock_guard guard{lock_};
  return {classes.count(), graph_.edges(), chains_, chains_of_locks_, full.load(std::memory_order_relaxed)};
}

// --- reports ---

std::string name_of(const order_graph::name& node) {
  std::string text = '\'' + classes.text(node.lock_class) + '\'';
  if (node.lock == nullptr) return text;
  char address[32];
  std::snprintf(address, sizeof address, " (%p)", node.lock);
  return text + address;
}

std::string who_saw(const order_graph::sighting& seen) {
  park::wait_info by;
  by.agent = seen.agent;
  by.kind = seen.kind;
  by.name = seen.agent_name;
  return who(by);
}

std::string detail_of(const finding::step& step) {
  const order_graph::sighting& seen = step.seen;
  std::string text = name_of(step.from) + (seen.first_shared ? " read at " : " taken at ") + place_of(seen.first_at) +
                     ", then " + name_of(step.to) + (seen.second_shared ? " read at " : " taken at ") +
                     place_of(seen.second_at) + ", by " + who_saw(seen);
  for (std::uint32_t i = 1; i < seen.held_locks; ++i) {
    text += i == 1 ? "; it also held " : ", ";
    text += name_of({seen.held[i].lock_class, nullptr});
  }
  return text;
}

report report_of(const finding& found) {
  report r;
  r.what = problem::lock_order;
  r.how_sure = confidence::possible;
  r.at = std::chrono::steady_clock::now();
  if (found.length == 0) {
    const finding::step& step = found.steps[0];
    const std::string name = name_of(step.from);
    const std::string first = place_of(step.seen.first_at);
    const std::string second = place_of(step.seen.second_at);
    r.sentence = name + " is read at " + first + " and again at " + second +
                 " by one reader: it waits for itself if a writer comes between.";
    r.details.push_back("by " + who_saw(step.seen));
    r.advice = "read " + name + " once, and hand on what was read, instead of reading again at " + second + '.';
    return r;
  }
  r.sentence = "Locks are taken in contradicting orders: ";
  for (std::uint32_t i = 0; i < found.length; ++i) {
    const finding::step& step = found.steps[i];
    if (i != 0) r.sentence += ", ";
    r.sentence += name_of(step.from) + " before " + name_of(step.to) + " at " + place_of(step.seen.second_at);
    r.details.push_back(detail_of(step));
  }
  r.sentence += '.';
  const finding::step& last = found.steps[found.length - 1];
  const std::string place = place_of(last.seen.second_at);
  if (last.from.lock_class == last.to.lock_class) {
    r.advice = "at " + place +
               " two locks of one class are taken: take them in the order of their addresses, or both by lock_all.";
  } else {
    r.advice = "take " + name_of(last.to) + " before " + name_of(last.from) + " at " + place +
               ", as everywhere else, or take both by lock_all.";
  }
  return r;
}

// Never inlined, as thread-local addresses must not be kept in a coroutine.
[[gnu::noinline]] void study(agent& self, std::uint32_t n) noexcept {
  static constinit thread_local bool delivering = false;
  if (delivering) return;  // I5
  findings out;
  study_room::the().study(self, n, out);
  if (out.count == 0) return;
  delivering = true;
  for (std::uint32_t i = 0; i < out.count; ++i) deliver(report_of(out.found[i]));  // I4
  delivering = false;
}

// There is no room for another chain of single locks. Looks at the clock only now and then.
[[gnu::noinline]] void no_room() noexcept {
  constexpr unsigned pause = 256;
  static constinit thread_local unsigned misses = 0;
  if (misses++ % pause == 0) study_room::the().make_room();
}

}  // namespace

void switch_order_study(bool on) noexcept { switched_on.store(on, std::memory_order_relaxed); }

bool study_order(agent& self) noexcept {
  if (!switched_on.load(std::memory_order_relaxed)) return false;
  const hold_list& held = self.holds();
  const std::uint32_t n = held.listed();
  if (n != held.count()) return false;  // the newest is not listed
  const chain_hash hash = hash_of(held, n);
  const known_chains& table = hash.of_locks ? known_of_locks : known;
  switch (table.find(hash.value, tag_of(identity_of(self)))) {
    case known_chains::answer::known: return !hash.of_locks;  // I6
    case known_chains::answer::unknown: study(self, n); break;
    case known_chains::answer::no_room: hash.of_locks ? no_room() : say_full(); break;
  }
  return false;
}

lock_order_state lock_order() noexcept { return study_room::the().state(); }

}  // namespace heddle::watch
