// Barrier. How a waiter enters and leaves: queue_wait.cpp.
//
// State. phase, expected and pending, all under the queue's lock.
// Invariants.
//   I1  pending is 0 only while the last to arrive runs the completion: nobody can arrive then, and nobody is let go.
//   I2  A wait is for the phase of its arrival, and over as soon as the barrier's is another.
//   I3  The unlock of the queue in next_phase() is the last access to the object; those who were taken out learn it
//       afterwards.
// Edges. The queue's lock orders the arrivals with the completion and with those who ask; the claim (park/wait.cpp)
//   orders those who were let go.
// Rejected. Arrivals by an atomic count: they would not need the lock, but the last one needs it anyway, and a barrier
//   is not for the hot path.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/sync/barrier.hpp>
#include <heddle/sync/internal/claimed_waiters.hpp>

namespace heddle::sync {

barrier_core::arrived barrier_core::arrive(std::uint32_t n, bool drop) noexcept {
  park::queue_guard guard{queue_};
  if (n > pending_) fatal("more arrived at a barrier than were missing in its phase");  // I1
  pending_ -= n;
  if (drop) --expected_;
  return {phase_, n != 0 && pending_ == 0};
}

void barrier_core::next_phase() noexcept {
  claimed_waiters gone;
  {
    park::queue_guard guard{queue_};
    pending_ = expected_;
    ++phase_;
    gone.take(guard, claimed_waiters::all);
  }  // I3
  gone.publish(park::phase::granted);
}

bool barrier_core::try_wait(std::uint32_t phase) noexcept {
  const park::queue_guard guard{queue_};
  return look(phase);
}

std::expected<void, wait_error> barrier_core::wait(std::uint32_t phase, bool breakable, deadline until,
                                                   const std::stop_token& stop, std::source_location site) noexcept {
  if (try_wait(phase)) return {};
  struct asked {
    const barrier_core* core;
    std::uint32_t phase;
  };
  asked about{this, phase};
  const sync::look how{[](void* object) noexcept {
                         const auto* const question = static_cast<asked*>(object);
                         return question->core->look(question->phase);
                       },
                       &about};
  return wait_in(queue_, how, breakable ? resource().for_breakable_call() : resource(), until, stop, site);
}

park::resource barrier_core::resource() const noexcept {
  return {resource_kind::barrier, this, origin_, queue_.named(), nullptr, 0};
}

void barrier_core::destroyed_in_use() const noexcept {
  if (!process_is_exiting()) fatal("a barrier was destroyed while it is waited for");
}

}  // namespace heddle::sync
