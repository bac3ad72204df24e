#pragma once

#include <heddle/park/executor.hpp>
#include <heddle/park/queue.hpp>

#include <atomic>
#include <cstdint>

namespace heddle::io {

class loop_core;

/// One direction of a descriptor: who waits for it and whether trying makes sense.
///
/// An operation lowers `ready` before it tries and raises it again when there may be more; the loop raises it when the
/// system reports. A waiter stands in the queue only after it has seen `ready` low under the queue's lock, so whoever
/// raises it from low to high wakes the waiter, and nobody else needs to.
struct handle_side {
  park::queue waiters;                         // under its own lock; at most one waiter
  std::atomic<bool> ready;                     // see above
  std::atomic<const void*> occupant{nullptr};  // whose wait it is, from its beginning to its end; set by that wait
  explicit handle_side(bool is_ready) noexcept : ready{is_ready} {}
};

/// A descriptor that a loop watches. Owned by a stream, listener or signal set; freed by the loop's thread, so that an
/// event of the system that is already on its way finds it.
///
/// As a work item it is posted to the loop by whoever sets `posted` first: to let a waiter that has used up its turn
/// go on, or to be freed.
struct handle : work_item {
  handle(loop_core& of, int fd, const char* static_name, bool ready_at_first) noexcept
      : core{of}, descriptor{fd}, name{static_name}, read{ready_at_first}, write{ready_at_first} {}

  static constexpr unsigned posted = 1;
  static constexpr unsigned dead = 2;

  loop_core& core;
  int descriptor;    // -1 once closed; written only where no operation runs
  const char* name;  // what the snapshot calls it
  handle_side read;
  handle_side write;
  std::atomic<bool> hung_up{false};  // the system has reported the end of the other side's sending, or an error
  std::atomic<unsigned> flags{0};    // posted, dead
};

}  // namespace heddle::io
