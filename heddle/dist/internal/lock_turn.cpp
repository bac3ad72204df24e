#include <heddle/dist/internal/lock_turn.hpp>
#include <heddle/park/internal/slot.hpp>

namespace heddle::dist {

// The name lives as long as the waits on it: whoever looks at a wait's resource does so while the wait is pinned.
park::resource lock_turn::resource() const noexcept {
  return {resource_kind::lease, this, origin{name_.c_str()}, true, &holder_, 0};
}

bool lock_turn::try_take() noexcept {
  const park::queue_guard guard{queue_};
  if (taken_) return false;
  taken_ = true;
  return true;
}

bool lock_turn::enqueue(park::slot& node) noexcept {
  park::queue_guard guard{queue_};
  if (!taken_) {
    taken_ = true;
    return false;
  }
  guard.push_back(node);
  return true;
}

void lock_turn::leave(park::slot& node) noexcept {
  park::queue_guard guard{queue_};
  guard.remove(node);
}

void lock_turn::give() noexcept {
  held_by(0);
  park::slot* next = nullptr;
  {
    park::queue_guard guard{queue_};
    for (park::slot* s = guard.first(); s != nullptr; s = guard.after(*s)) {
      if (!park::claim(*s)) continue;  // it is just giving up
      next = s;
      break;
    }
    if (next != nullptr) {
      guard.remove(*next);
    } else {
      taken_ = false;
    }
  }
  if (next != nullptr) park::publish(*next, park::phase::granted);
}

std::optional<wait_error> lock_turn::take(deadline until, const std::stop_token& stop,
                                          std::source_location site) noexcept {
  if (try_take()) return {};
  if (stop.stop_requested()) return wait_error::stopped;
  if (until.has_passed()) return wait_error::timeout;
  park::thread_wait wait{resource(), until, site};
  if (!enqueue(wait.node())) return {};
  const park::phase result = wait.park(until, stop);
  if (result == park::phase::granted) return {};
  leave(wait.node());
  return park::error_of(result);
}

wait_error lock_turn::pause(deadline until, const std::stop_token& stop, std::source_location site) noexcept {
  park::thread_wait wait{resource(), until, site};
  return park::error_of(wait.park(until, stop));
}

turn_awaiter lock_turn::async_take(deadline until, std::stop_token stop, std::source_location site) noexcept {
  return {*this, until, std::move(stop), site};
}

turn_pause_awaiter lock_turn::async_pause(deadline until, std::stop_token stop, std::source_location site) noexcept {
  return {*this, until, std::move(stop), site};
}

park::task_wait::step turn_awaiter::claimed(park::phase result) noexcept {
  if (result == park::phase::granted) return step::resume;
  turn_.leave(node());
  if (result == park::phase::cancelled) return step::unwind;
  error_ = park::error_of(result);
  return step::resume;
}

}  // namespace heddle::dist
