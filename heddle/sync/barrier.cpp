// Barrier. How a waiter enters and leaves: queue_wait.cpp.
//
// State. word = phase << 33 | waiters << 32 | pending.
//   phase      modulo 2^31; by the last to arrive.
//   pending    arrivals that are missing in this phase; by anybody, downwards, until the next phase begins.
//   waiters    changes only under the queue's lock; there whenever a node that can be claimed stands in the queue.
//   expected   arrivals in each phase to come; who drops out lowers it before it arrives.
// Invariants.
//   I1  pending is 0 only while the last to arrive runs the completion: nobody can arrive then, and nobody is let go.
//   I2  A wait is for the phase of its arrival, and over as soon as the barrier's is another. Who enters the queue has
//       found it unchanged in the step that says so; who changes it has first taken all waiters out.
//   I3  The store of the next phase is the last access to the object; those who were taken out learn it afterwards.
// Edges.
//   E1  An arrival and the next phase are read-modify-writes with release, an arrival with acquire, too: what was done
//       before all arrivals is seen by the completion, and with that, by whoever sees the next phase: acquire.
// Rejected. Everything under the queue's lock: six atomic operations for a phase in which nobody has to wait, instead of
//   two.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/sync/barrier.hpp>
#include <heddle/sync/internal/claimed_waiters.hpp>

namespace heddle::sync {

void barrier_core::next_phase_slow() noexcept {
  claimed_waiters gone;
  std::uint64_t seen = word_.load(std::memory_order_relaxed);
  for (;;) {
    if ((seen & waiters_bit) != 0) {
      park::queue_guard guard{queue_};
      gone.take(guard, claimed_waiters::all);
      word_.fetch_and(~waiters_bit, std::memory_order_relaxed);  // I2
      seen = word_.load(std::memory_order_relaxed);
    } else if (word_.compare_exchange_weak(seen, next(seen), std::memory_order_release, std::memory_order_relaxed)) {
      break;  // E1, I3
    }
  }
  gone.publish(park::phase::granted);
}

bool barrier_core::look(std::uint32_t which) noexcept {
  std::uint64_t seen = word_.load(std::memory_order_acquire);
  for (;;) {
    if (phase(seen) != which) return true;  // E1
    if ((seen & waiters_bit) != 0 || word_.compare_exchange_weak(seen, seen | waiters_bit, std::memory_order_acquire,
                                                                 std::memory_order_acquire)) {  // I2
      return false;
    }
  }
}

std::expected<void, wait_error> barrier_core::wait(std::uint32_t which, bool breakable, deadline until,
                                                   const std::stop_token& stop, std::source_location site) noexcept {
  if (try_wait(which)) return {};
  struct asked {
    barrier_core* core;
    std::uint32_t phase;
  };
  asked about{this, which};
  const sync::look how{[](void* object) noexcept {
                         auto* const question = static_cast<asked*>(object);
                         return question->core->look(question->phase);
                       },
                       &about};
  return wait_in(queue_, how, breakable ? resource().for_breakable_call() : resource(), until, stop, site);
}

park::resource barrier_core::resource() const noexcept {
  return {resource_kind::barrier, this, origin_, queue_.named(), nullptr, 0};
}

void barrier_core::too_many() noexcept { fatal("more arrived at a barrier than were missing in its phase"); }

void barrier_core::destroyed_in_use() const noexcept {
  if (!process_is_exiting()) fatal("a barrier was destroyed while it is waited for");
}

}  // namespace heddle::sync
