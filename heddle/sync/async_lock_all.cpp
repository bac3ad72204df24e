// As lock_all.cpp, with each wait awaited.

#include <heddle/sync/async_lock_all.hpp>
#include <heddle/sync/internal/lock_all_turn.hpp>

#include <algorithm>

namespace heddle::sync {

steps await_all(std::span<const lock_handle> locks, const deadline* until, std::stop_token stop,
                std::source_location site, std::optional<wait_error>& error) {
  refusals refused{site};
  for (std::size_t first = 0;;) {
    const lock_handle& one = locks[first];
    if (until == nullptr) {
      co_await one.how->awaitable->async_lock(one.object, site);  // I1
    } else {
      co_await one.how->awaitable->async_lock_until(one.object, *until, stop, site, error);
      if (error) co_return;
    }
    first = try_others(locks, first);
    if (first == none) co_return;
    if (stop.stop_requested()) error = wait_error::stopped;
    if (until != nullptr && until->has_passed()) error = wait_error::timeout;
    if (error) co_return;
    if (const auto pause = refused.pause()) {
      const deadline limit = until != nullptr ? std::min(*until, *pause) : *pause;
      if (auto turn = co_await the_turn().async_acquire_until(limit, stop, 1, site)) {
        refused.has_turn(std::move(*turn));  // I2
      }
    }
  }
}

bool lock_all_steps::take_now(std::span<lock_handle> locks) const {
  put_in_order(locks, site_);
  return try_others(locks, none) == none;
}

void lock_all_steps::end(std::span<const lock_handle> locks, const void* taken_at) const {
  if (steps_) steps_->await_resume();
  say_where(locks, taken_at);
}

}  // namespace heddle::sync
