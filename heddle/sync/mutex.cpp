// The algorithm is the turnstile's (internal/turnstile.hpp), with the holder's agent id as the value: 0 is free.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/park/internal/current.hpp>
#include <heddle/sync/internal/mutex_rule.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sys/restartable.hpp>
#include <heddle/watch/settings.hpp>

#include <cstddef>
#include <utility>

namespace heddle {
namespace {

// Whoever has locks has somebody who looks at the waits for them.
[[maybe_unused]] const bool diagnosed = watch::begin();

}  // namespace

// Fast paths call nothing, so that they need no stack frame; what is missing is made up for in the slow halves.
void mutex::lock(std::source_location site) noexcept {
  if (agent* const self = park::known_agent(); self != nullptr) [[likely]] {
    const std::uint32_t id = self->id_if_any();
    const void* const caller = __builtin_return_address(0);
    const bool prepared = self->may_hold(this, held(false), caller);
    std::uint32_t seen = word_.load(std::memory_order_relaxed);  // foretold, so that the exchange need not wait for it
    if ((seen == 0 && word_.compare_exchange_strong(seen, id << sync::value_shift, std::memory_order_acquire,
                                                    std::memory_order_relaxed)) ||
        rule::of(*this).try_take_seen(seen, id)) [[likely]] {  // E1
      self->now_holds(prepared, this, held(false), caller);
      return;
    }
  }
  lock_slow(site, __builtin_return_address(0));
}

void mutex::lock_slow(std::source_location site, const void* caller) noexcept {
  agent& self = current_agent();
  const std::uint32_t id = self.id();  // before the look at the holder, who may end and leave the same id to this agent
  if (holder() == id) fatal("a mutex was locked twice by one agent, a deadlock of length one", site);
  (void)rule::of(*this).take(id, resource(), deadline::never(), {}, site);
  self.now_holds(this, held(false), caller);
}

std::expected<void, wait_error> mutex::take_until(deadline until, const std::stop_token& stop,
                                                  std::source_location site) noexcept {
  agent& self = current_agent();
  auto taken = rule::of(*this).take(self.id(), resource().for_breakable_call(), until, stop, site);
  if (taken) self.now_holds(this, held(!until.is_never()), __builtin_return_address(0));
  return taken;
}

std::expected<std::unique_lock<mutex>, wait_error> mutex::lock_until(deadline until, const std::stop_token& stop,
                                                                     std::source_location site) noexcept {
  if (const auto taken = take_until(until, stop, site); !taken) return std::unexpected{taken.error()};
  return std::unique_lock{*this, std::adopt_lock};
}

bool mutex::try_lock() noexcept {
  agent& self = current_agent();
  if (!rule::of(*this).try_take(self.id())) return false;
  self.now_holds(this, held(true), __builtin_return_address(0));
  return true;
}

void mutex::unlock() noexcept {
  if (agent* const self = park::known_agent(); self != nullptr) [[likely]] {
    const std::uint32_t id = self->id_if_any();
    if (sys::clear_if_equal(word_, id << sync::value_shift) ||
        (holder() == id && !rule::is_worth_a_look(*self) && rule::of(*this).try_give(id))) [[likely]] {  // E1, I5, I9
      self->no_longer_holds(this);
      return;
    }
  }
  unlock_slow();
}

void mutex::unlock_slow() noexcept {
  if (!held_by_me()) fatal("a mutex was unlocked by an agent that does not hold it");
  agent& self = current_agent();
  if (rule::is_worth_a_look(self)) rule::of(*this).settle();
  rule::of(*this).give(self.id());
  self.no_longer_holds(this);
}

bool mutex::held_by_me() const noexcept {
  const std::uint32_t self = current_agent().id_if_any();  // 0 before its first lock or wait
  return self != 0 && holder() == self;
}

std::uint32_t mutex::holder() const noexcept { return word_.load(std::memory_order_relaxed) >> sync::value_shift; }

void mutex::destroyed_in_use() const noexcept {
  if (process_is_exiting()) return;
  fatal(holder() != 0 ? "a mutex was destroyed while it is held" : "a mutex was destroyed while it is waited for");
}

park::held_as mutex::held(bool tried) const noexcept {
  return park::held_as{resource_kind::mutex, origin_, queue_.named(), park::hold_mode::exclusive, tried}.with_queue_at(
      offsetof(mutex, queue_));
}

park::resource mutex::resource() const noexcept {
  return {resource_kind::mutex, this, origin_, queue_.named(), &word_, sync::value_shift};
}

// --- tasks ---

template class sync::turnstile_wait<mutex::rule>;

mutex_lock_awaiter mutex::async_lock(std::source_location site) noexcept {
  if (held_by_me()) fatal("a mutex was locked twice by one agent, a deadlock of length one", site);
  return {*this, site};
}

mutex_lock_until_awaiter mutex::async_lock_until(deadline until, std::stop_token stop,
                                                 std::source_location site) noexcept {
  return {*this, until, std::move(stop), site};
}

mutex_lock_awaiter::mutex_lock_awaiter(mutex& m, std::source_location site) noexcept
    : turnstile_wait{&m, current_agent().id(), m.resource(), deadline::never(), {}, site}, mutex_{m} {}

std::unique_lock<mutex> mutex_lock_awaiter::await_resume() noexcept {
  current_agent().now_holds(&mutex_, mutex_.held(false), __builtin_return_address(0));
  return std::unique_lock{mutex_, std::adopt_lock};
}

mutex_lock_until_awaiter::mutex_lock_until_awaiter(mutex& m, deadline until, std::stop_token stop,
                                                   std::source_location site) noexcept
    : turnstile_wait{&m, current_agent().id(), m.resource().for_breakable_call(), until, std::move(stop), site},
      mutex_{m} {}

std::expected<std::unique_lock<mutex>, wait_error> mutex_lock_until_awaiter::await_resume() noexcept {
  if (error()) return std::unexpected{*error()};
  current_agent().now_holds(&mutex_, mutex_.held(!until().is_never()), __builtin_return_address(0));
  return std::unique_lock{mutex_, std::adopt_lock};
}

}  // namespace heddle
