// A mutex on the kernel's priority-inheriting lock word.
//
// State. word_ is the kernel's: 0 free, else the holder's thread id, a bit for waiters in the kernel, a bit for a holder
//   that ended (sys/futex.hpp). holder_ = agent id << 2 | lost | named.
//   agent id  the holder, for whoever looks: the kernel knows threads, not agents. 0 while nobody has written there.
//   lost      a thread has ended while it held the lock. Never cleared; the id stays the ended one's.
//   named     constant: which half of origin_ counts.
// Invariants.
//   I1  holder_ is written only by the thread whose id is in word_: set after it took the word, cleared before it gives it.
//   I2  The word is given last; nothing of the object is touched afterwards, so the next holder may destroy it.
//   I3  Who takes the word and finds lost gives it back and fails, so that it goes from waiter to waiter until all know.
//   I4  An agent that is a thread and is named in holder_ while word_ has another thread's id lives in the child of a fork:
//       the word is a copy, and nobody waits there.
// Edges.
//   E1  unlock: release on word_ -> lock: acquire on word_; when the kernel took the free word for us, by a load.
//   E2  When the kernel hands the word over, nobody's instruction writes it: unlock, once it knows that it needs the kernel,
//       writes holder_ again with release, and the next holder reads that with acquire (the kernel's own locks make it the
//       last). So the failed attempt to give the word comes before a destruction, too.
// Progress and fairness. The kernel's: by priority, then by age. A thread first looks at a taken word for a bounded time,
//   with loads only, also while others sleep in the kernel: each hand-over to a sleeper costs a wake-up, and who looks
//   for longer than that is there when nobody sleeps any more, so the row of hand-overs ends. Nobody can pass a sleeper:
//   as long as one sleeps the word is never 0. Threads with a real-time policy go to the kernel at once: the holder may
//   need their CPU, and their priority to get it.
// Cost. One compare-and-swap each way. Contended: see spin_ns.
// Rejected. Robust lists (the kernel walks them when a thread ends): the list's head belongs to the C library. Unlocking
//   for an ended thread: what it protected may be half done.
// Source. futex(2), and the kernel's Documentation/locking/rt-mutex.rst.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/park/foreign_wait.hpp>
#include <heddle/park/internal/current.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/sync/pi_mutex.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/thread.hpp>
#include <heddle/watch/settings.hpp>

#include <cerrno>

namespace heddle {
namespace {

// How long a thread looks at a taken word before it sleeps: pi_mutex/contended/2 and /4 chose it.
constexpr std::int64_t spin_ns = 20'000;

// Between two looks: each takes the cache line from the holder. pi_mutex/contended/2 chose it.
constexpr int most_pauses = 64;

// How often lock() asks again while the kernel says that the wait would close a circle.
constexpr std::chrono::milliseconds circle_pause{10};

[[maybe_unused]] const bool diagnosed = watch::begin();  // see mutex.cpp

constexpr const char* lost_message = "a pi_mutex was locked whose holder had ended: what it protects may be half done";

}  // namespace

void pi_mutex::lock(std::source_location site) noexcept {
  if (agent* const self = park::known_agent(); self != nullptr) [[likely]] {
    if (take_word(sys::thread_id()) && note_holder(*self)) [[likely]] {
      self->now_holds(this, held(false), __builtin_return_address(0));
      return;
    }
  }
  lock_slow(site, __builtin_return_address(0));
}

void pi_mutex::lock_slow(std::source_location site, const void* caller) noexcept {
  agent& self = current_agent();
  if (holder() == self.id()) {
    fatal("a pi_mutex was locked twice by one agent, a deadlock of length one", site);
  }
  const auto taken = take(self, nullptr, site);
  if (!taken) {
    if (taken.error() == wait_error::closed) fatal(lost_message, site);
    fatal("a task locked a pi_mutex that another task of its thread holds, so the thread would wait for itself", site);
  }
  self.now_holds(this, held(false), caller);
}

bool pi_mutex::try_lock() noexcept {
  agent& self = current_agent();
  (void)self.id();
  if (!take_word(sys::thread_id()) || !note_holder(self)) return false;
  self.now_holds(this, held(true), __builtin_return_address(0));
  return true;
}

std::expected<void, wait_error> pi_mutex::take_until(deadline until, std::source_location site) noexcept {
  agent& self = current_agent();
  if (holder() == self.id()) return std::unexpected{wait_error::deadlock};
  const auto taken = take(self, &until, site);
  if (taken) self.now_holds(this, held(!until.is_never()), __builtin_return_address(0));
  return taken;
}

std::expected<std::unique_lock<pi_mutex>, wait_error> pi_mutex::lock_until(deadline until,
                                                                           std::source_location site) noexcept {
  if (const auto taken = take_until(until, site); !taken) return std::unexpected{taken.error()};
  return std::unique_lock{*this, std::adopt_lock};
}

// `until` is null for lock(), which cannot give up. The wait is over before the holder is noted: nobody is seen waiting
// for what it holds itself.
std::expected<void, wait_error> pi_mutex::take(agent& self, const deadline* until, std::source_location site) noexcept {
  if (!spin(sys::thread_id())) {
    if (const auto got = sleep_for_it(until, site); !got) return got;
  }
  if (!note_holder(self)) return std::unexpected{wait_error::closed};
  return {};
}

std::expected<void, wait_error> pi_mutex::sleep_for_it(const deadline* until, std::source_location site) noexcept {
  const deadline limit = until != nullptr ? *until : deadline::never();
  if (limit.has_passed()) return std::unexpected{wait_error::timeout};
  park::foreign_wait shown{resource(), limit, site};
  for (;;) {
    switch (sys::futex_lock_pi(word_, limit.ns())) {
      case 0:
        if ((word_.load(std::memory_order_acquire) & sys::pi_owner_died_bit) != 0) {  // E1
          holder_.fetch_or(lost_bit, std::memory_order_relaxed);                      // I1, I3
        }
        return {};
      case ETIMEDOUT: return std::unexpected{wait_error::timeout};
      case ESRCH:
      case EPERM: return std::unexpected{wait_error::closed};
      case EDEADLK:
        if (until != nullptr || thread_waits_for_itself()) return std::unexpected{wait_error::deadlock};
        shown.pause(deadline::after(circle_pause));
        break;
      default: fatal("the kernel refuses to lock a pi_mutex; was the memory that holds it overwritten?", site);
    }
  }
}

bool pi_mutex::take_word(std::uint32_t thread) noexcept {
  std::uint32_t expected = 0;
  return word_.compare_exchange_strong(expected, thread, std::memory_order_acquire, std::memory_order_relaxed);  // E1
}

bool pi_mutex::spin(std::uint32_t thread) noexcept {
  if (take_word(thread)) return true;
  if (sys::allowed_cpus() == 1 || sys::has_real_time_policy()) return false;
  const std::int64_t until = sys::steady_now_ns() + spin_ns;
  do {
    for (int pauses = 1; pauses <= most_pauses; pauses *= 2) {
      if (word_.load(std::memory_order_relaxed) == 0 && take_word(thread)) return true;
      for (int i = 0; i < pauses; ++i) sys::spin_pause();
    }
  } while (sys::steady_now_ns() < until);
  return false;
}

// Another task of this thread holds it, and cannot go on while the thread sleeps.
bool pi_mutex::thread_waits_for_itself() const noexcept {
  return (word_.load(std::memory_order_relaxed) & sys::pi_thread_mask) == sys::thread_id();
}

// False: the lock is lost, and the word has been given back.
bool pi_mutex::note_holder(const agent& self) noexcept {
  const std::uint32_t seen = holder_.load(std::memory_order_acquire);  // E2
  if ((seen & lost_bit) != 0) [[unlikely]] {
    give_word(sys::thread_id());  // I3
    return false;
  }
  holder_.store(self.id_if_any() << holder_shift | (seen & named_bit), std::memory_order_relaxed);  // I1
  return true;
}

void pi_mutex::unlock() noexcept {
  agent& self = current_agent();
  const std::uint32_t seen = holder_.load(std::memory_order_relaxed);
  const std::uint32_t id = self.id_if_any();
  if (id == 0 || seen >> holder_shift != id) fatal("a pi_mutex was unlocked by an agent that does not hold it");
  const std::uint32_t thread = sys::thread_id();
  const bool elsewhere = (word_.load(std::memory_order_relaxed) & sys::pi_thread_mask) != thread;
  if (elsewhere && self.what() == agent::kind::task) {
    fatal("a task unlocked a pi_mutex on another thread than it locked it on; do not hold it over a co_await");
  }
  self.no_longer_holds(this);
  holder_.store(seen & named_bit, std::memory_order_relaxed);  // I1
  if (elsewhere) [[unlikely]] {
    word_.store(0, std::memory_order_release);  // I4
    return;
  }
  give_word(thread);
}

void pi_mutex::give_word(std::uint32_t thread) noexcept {
  std::uint32_t expected = thread;
  if (word_.compare_exchange_strong(expected, 0, std::memory_order_release, std::memory_order_relaxed))
    return;                                                                           // E1, I2
  holder_.store(holder_.load(std::memory_order_relaxed), std::memory_order_release);  // E2
  if (sys::futex_unlock_pi(word_) != 0) {
    fatal("the kernel refuses to unlock a pi_mutex; was the memory that holds it overwritten?");
  }
}

bool pi_mutex::held_by_me() const noexcept {
  const std::uint32_t self = current_agent().id_if_any();  // 0 before its first lock or wait
  return self != 0 && holder() == self;
}

void pi_mutex::destroyed_in_use() const noexcept {
  if (!process_is_exiting()) fatal("a pi_mutex was destroyed while it is held or waited for");
}

park::held_as pi_mutex::held(bool tried) const noexcept {
  return {resource_kind::mutex, origin_, (holder_.load(std::memory_order_relaxed) & named_bit) != 0,
          park::hold_mode::exclusive, tried};
}

park::resource pi_mutex::resource() const noexcept {
  const bool named = (holder_.load(std::memory_order_relaxed) & named_bit) != 0;
  return {resource_kind::mutex, this, origin_, named, &holder_, holder_shift};
}

}  // namespace heddle
