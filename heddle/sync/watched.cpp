// What is kept beside a foreign lock. owner_ is set after the lock was taken and cleared before it is given, by its holder,
// so it may lag: for a moment the lock is held and owner_ names nobody. It never names an agent that does not hold it.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/park/agent.hpp>
#include <heddle/sync/watched.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/watch/settings.hpp>

namespace heddle::sync {
namespace {

[[maybe_unused]] const bool diagnosed = watch::begin();  // see mutex.cpp

}  // namespace

bool watched_state::held_by_me() const noexcept {
  const std::uint32_t self = current_agent().id_if_any();  // 0 before its first lock or wait
  return self != 0 && holder() == self;
}

void watched_state::refuse_again(std::source_location site) const noexcept {
  if (held_by_me()) fatal("a watched lock was locked twice by one agent, a deadlock of length one", site);
}

void watched_state::taken(bool tried, const void* taken_at) noexcept {
  if (++depth_ != 1) return;
  agent& self = current_agent();
  const std::uint32_t named = owner_.load(std::memory_order_relaxed) & named_bit;
  owner_.store(self.id() << owner_shift | named, std::memory_order_relaxed);
  thread_ = self.what() == agent::kind::task ? sys::thread_id() : 0;
  self.now_holds(this, held(park::hold_mode::exclusive, tried), taken_at);
}

void watched_state::giving() noexcept {
  if (!held_by_me()) fatal("a watched lock was unlocked by an agent that does not hold it");
  if (thread_ != 0 && thread_ != sys::thread_id()) {
    fatal("a task unlocked a watched lock on another thread than it locked it on; do not hold it over a co_await");
  }
  if (--depth_ != 0) return;
  owner_.store(owner_.load(std::memory_order_relaxed) & named_bit, std::memory_order_relaxed);
  current_agent().no_longer_holds(this);
}

void watched_state::share_taken(bool tried, const void* taken_at) noexcept {
  agent& self = current_agent();
  (void)self.id();
  self.now_holds(this, held(park::hold_mode::shared, tried), taken_at);
}

void watched_state::giving_share() noexcept {
  agent& self = current_agent();
  if (self.id_if_any() != 0) self.no_longer_holds(this);
}

void watched_state::destroyed_in_use() const noexcept {
  if (!process_is_exiting()) fatal("a watched lock was destroyed while it is held");
}

park::held_as watched_state::held(park::hold_mode mode, bool tried) const noexcept {
  const bool named = (owner_.load(std::memory_order_relaxed) & named_bit) != 0;
  return {resource_kind::mutex, origin_, named, mode, tried};
}

park::resource watched_state::resource(bool shared) const noexcept {
  const bool named = (owner_.load(std::memory_order_relaxed) & named_bit) != 0;
  park::resource what{resource_kind::mutex, this, origin_, named, &owner_, owner_shift};
  what.shared = shared;
  return what;
}

}  // namespace heddle::sync
