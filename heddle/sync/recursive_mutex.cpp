// A mutex and how often its holder has locked it besides.
//
// again_ is 0 while the mutex is free. Only the agent that holds the mutex may change it, and only by that agent does its
// value mean anything; it is atomic because others, who unlock what they do not hold, may read it before they are told.

#include <heddle/base/fatal.hpp>
#include <heddle/park/internal/current.hpp>
#include <heddle/sync/internal/mutex_rule.hpp>
#include <heddle/sync/recursive_mutex.hpp>
#include <heddle/sys/restartable.hpp>

#include <cstddef>
#include <utility>

namespace heddle {

// mutex::held(), in line.
inline park::held_as recursive_mutex::held(bool tried) const noexcept {
  return park::held_as{resource_kind::mutex, mutex_.origin_, mutex_.queue_.named(), park::hold_mode::exclusive, tried}
      .with_queue_at(offsetof(recursive_mutex, mutex_) + offsetof(mutex, queue_));
}

// As with mutex, the fast paths need no stack frame.
void recursive_mutex::lock(std::source_location site) noexcept {
  if (agent* const self = park::known_agent(); self != nullptr) [[likely]] {
    const std::uint32_t mine = self->id_if_any() << sync::value_shift;
    std::uint32_t expected = 0;
    if (mutex_.word_.compare_exchange_strong(expected, mine, std::memory_order_acquire, std::memory_order_relaxed))
        [[likely]] {
      self->now_holds(this, held(false), __builtin_return_address(0));
      return;
    }
  }
  lock_slow(site, __builtin_return_address(0));
}

void recursive_mutex::lock_slow(std::source_location site, const void* caller) noexcept {
  const std::uint32_t self = current_agent().id();
  if (mutex_.holder() == self) {
    lock_again();
    return;
  }
  (void)mutex::rule::of(mutex_).take(self, mutex_.resource(), deadline::never(), {}, site);
  current_agent().now_holds(this, held(false), caller);
}

void recursive_mutex::lock_again() noexcept {
  const std::uint32_t again = again_.load(std::memory_order_relaxed);
  if (again + 1 == max_depth) fatal("a recursive_mutex was locked more than 16 million times by one agent");
  again_.store(again + 1, std::memory_order_relaxed);
}

bool recursive_mutex::try_lock() noexcept {
  const std::uint32_t self = current_agent().id();
  if (mutex_.holder() == self) {
    lock_again();
    return true;
  }
  if (!mutex::rule::of(mutex_).try_take(self)) return false;
  current_agent().now_holds(this, held(true), __builtin_return_address(0));
  return true;
}

std::expected<void, wait_error> recursive_mutex::take_until(deadline until, const std::stop_token& stop,
                                                            std::source_location site) noexcept {
  const std::uint32_t self = current_agent().id();
  if (mutex_.holder() == self) {
    lock_again();
    return {};
  }
  const auto got = mutex::rule::of(mutex_).take(self, mutex_.resource().for_breakable_call(), until, stop, site);
  if (got) current_agent().now_holds(this, held(!until.is_never()), __builtin_return_address(0));
  return got;
}

std::expected<std::unique_lock<recursive_mutex>, wait_error> recursive_mutex::lock_until(
    deadline until, const std::stop_token& stop, std::source_location site) noexcept {
  if (const auto got = take_until(until, stop, site); !got) return std::unexpected{got.error()};
  return std::unique_lock{*this, std::adopt_lock};
}

void recursive_mutex::unlock() noexcept {
  if (agent* const self = park::known_agent(); self != nullptr && again_.load(std::memory_order_relaxed) == 0)
      [[likely]] {
    if (sys::clear_if_equal(mutex_.word_, self->id_if_any() << sync::value_shift)) [[likely]] {
      self->no_longer_holds(this);
      return;
    }
  }
  unlock_slow();
}

void recursive_mutex::unlock_slow() noexcept {
  if (!held_by_me()) fatal("a recursive_mutex was unlocked by an agent that does not hold it");
  if (const std::uint32_t again = again_.load(std::memory_order_relaxed); again != 0) {
    again_.store(again - 1, std::memory_order_relaxed);
    return;
  }
  agent& self = current_agent();
  if (mutex::rule::is_worth_a_look(self)) mutex::rule::of(mutex_).settle();
  mutex::rule::of(mutex_).give(self.id());
  self.no_longer_holds(this);
}

// --- tasks ---

bool recursive_mutex::take_now(bool& again) noexcept {
  const std::uint32_t self = current_agent().id();
  again = mutex_.holder() == self;
  if (again) lock_again();
  return again || mutex::rule::of(mutex_).try_take(self);
}

recursive_mutex_lock_awaiter recursive_mutex::async_lock(std::source_location site) noexcept { return {*this, site}; }

recursive_mutex_lock_until_awaiter recursive_mutex::async_lock_until(deadline until, std::stop_token stop,
                                                                     std::source_location site) noexcept {
  return {*this, until, std::move(stop), site};
}

recursive_mutex_lock_awaiter::recursive_mutex_lock_awaiter(recursive_mutex& m, std::source_location site) noexcept
    : turnstile_wait{&m.mutex_, current_agent().id(), m.mutex_.resource(), deadline::never(), {}, site}, mutex_{m} {}

bool recursive_mutex_lock_awaiter::ready() noexcept { return mutex_.take_now(again_); }

std::unique_lock<recursive_mutex> recursive_mutex_lock_awaiter::await_resume() noexcept {
  if (!again_) current_agent().now_holds(&mutex_, mutex_.held(false), __builtin_return_address(0));
  return std::unique_lock{mutex_, std::adopt_lock};
}

recursive_mutex_lock_until_awaiter::recursive_mutex_lock_until_awaiter(recursive_mutex& m, deadline until,
                                                                       std::stop_token stop,
                                                                       std::source_location site) noexcept
    : turnstile_wait{&m.mutex_, current_agent().id(), m.mutex_.resource().for_breakable_call(),
                     until,     std::move(stop),      site},
      mutex_{m} {}

bool recursive_mutex_lock_until_awaiter::ready() noexcept { return mutex_.take_now(again_); }

std::expected<std::unique_lock<recursive_mutex>, wait_error>
recursive_mutex_lock_until_awaiter::await_resume() noexcept {
  if (error()) return std::unexpected{*error()};
  if (!again_) {
    current_agent().now_holds(&mutex_, mutex_.held(!until().is_never()), __builtin_return_address(0));
  }
  return std::unique_lock{mutex_, std::adopt_lock};
}

}  // namespace heddle
