// Waiting in a queue for a state that is looked at under the queue's lock.
//
// Invariants.
//   I1  A waiter looks at the state and enters the queue under one hold of the queue's lock. Whoever changes the state
//       takes the lock, too, so that no change falls between the two.
//   I2  A wake is used up only by a waiter that it has claimed (see internal/claimed_waiters.hpp); one that is just giving
//       up is passed by. A claimed one does not give up before it has looked.
//   I3  A granted waiter touches neither the queue nor its owner again.
// Edges. The queue's lock orders the looks and the changes; the claim's edges (park/wait.cpp) order a grant.
// Rejected. A last look when the deadline comes: the state that it might find belongs to the one that has been woken for
//   it.

#include <heddle/park/internal/slot.hpp>
#include <heddle/sync/queue_wait.hpp>
#include <heddle/watch/settings.hpp>

namespace heddle::sync {
namespace {

// Whoever waits here has somebody who looks at the waits.
[[maybe_unused]] const bool diagnosed = watch::begin();

void leave(park::queue& queue, park::slot& node) noexcept {
  park::queue_guard guard{queue};
  guard.remove(node);
}

}  // namespace

std::expected<void, wait_error> wait_in(park::queue& queue, look ready, const park::resource& what, deadline until,
                                        const std::stop_token& stop, std::source_location site) noexcept {
  if (stop.stop_requested()) return std::unexpected{wait_error::stopped};
  if (until.has_passed()) return std::unexpected{wait_error::timeout};
  park::thread_wait wait{what, until, site};
  {
    park::queue_guard guard{queue};
    if (ready.ask(ready.object)) return {};
    guard.push_back(wait.node());  // I1
  }
  for (;;) {
    const park::phase result = wait.park(until, stop, true);
    if (result == park::phase::granted) return {};  // I3
    if (result != park::phase::woken) {
      leave(queue, wait.node());
      return std::unexpected{park::error_of(result)};
    }
    wait.rearm();
    park::queue_guard guard{queue};
    if (ready.ask(ready.object)) return {};  // I2
    guard.push_by_age(wait.node());
  }
}

bool queue_wait::enqueue() noexcept {
  park::queue_guard guard{queue_};
  if (look()) return false;
  guard.push_back(node());  // I1
  return true;
}

park::task_wait::step queue_wait::claimed(park::phase result) noexcept {
  if (result == park::phase::granted) return step::resume;  // I3
  if (result == park::phase::woken) {
    rearm();
    park::queue_guard guard{queue_};
    if (look()) return step::resume;  // I2
    guard.push_by_age(node());
    return step::wait;
  }
  leave(queue_, node());
  if (result == park::phase::cancelled) return step::unwind;
  error_ = park::error_of(result);
  return step::resume;
}

}  // namespace heddle::sync
