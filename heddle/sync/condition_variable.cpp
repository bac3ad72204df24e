// Condition variable.
//
// State. A queue of waiters; nothing else. A waiter's slot says in `payload` which heddle::mutex it wants back; null for
//   any other lock.
// Invariants.
//   I1  A waiter enters the queue before it lets go of the lock, so a notification under the lock, or after it, finds it.
//   I2  A notification is used up only by a waiter that it has claimed; one that is just timing out is passed by.
//   I3  Once it has been claimed by a notification, a waiter does not touch the condition again; nor does whoever notifies
//       once the queue is unlocked. The mutex lives, as the claimed waiter needs it.
//   I4  unique_lock's flag stays `owned` throughout, as with std::condition_variable; mutex and agent are told the truth.
//   I5  Notifying does not wake a waiter that wants a heddle::mutex: its wait is redirected to the mutex (park/wait.cpp,
//       I8), where it is a newcomer, and the mutex wakes one at a time (turnstile::adopt). So it comes back as a woken
//       waiter of the mutex, and the record says truthfully what it waits for. Others are woken, and lock by themselves.
//   I6  A foreign lock's unlock() is the user's code, runs while the wait is under way, and may wait itself (park/wait.cpp,
//       I10).
// Edges. E1 the mutex orders the predicate's data; the claim's edges (park/wait.cpp) order the rest.
// Cost. notify without waiters: one load. With: the queue's lock and the mutex's queue's lock; the wake is the mutex's. A
//   waiter beside whom nobody waits spins for a bounded time.
// Rejected. Building on futex sequence numbers: glibc's algorithm lost wake-ups (bug 25847) and cannot name its waiters.
//   Redirecting only to a mutex that is held: then a notify_all without the mutex wakes everybody to collide.
//   A count of notifications that a foreign waiter compares before and after unlock(): the condition may be gone then.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/sync/condition_variable.hpp>
#include <heddle/sync/internal/mutex_rule.hpp>

namespace heddle {

namespace {

// Takes the next waiter out of the queue under its lock, or returns null. `from` is where to look, and becomes the one
// behind it.
park::slot* claim_next(park::queue_guard& guard, park::slot*& from) noexcept {
  while (from != nullptr) {
    park::slot* const s = from;
    from = guard.after(*s);
    if (park::claim(*s)) {  // I2
      guard.remove(*s);
      s->next = 0;
      return s;
    }
  }
  return nullptr;
}

}  // namespace

void condition_variable::notify_one() noexcept {
  if (queue_.seems_empty()) return;  // I1
  park::slot* woken = nullptr;
  {
    park::queue_guard guard{queue_};
    park::slot* from = guard.first();
    woken = claim_next(guard, from);
  }
  if (woken != nullptr) hand_over(woken->index);
}

// The claimed ones are chained through `next`, which is theirs no more and nobody else's yet.
void condition_variable::notify_all() noexcept {
  if (queue_.seems_empty()) return;  // I1
  std::uint32_t chain = 0;
  {
    park::queue_guard guard{queue_};
    park::slot* from = guard.first();
    std::uint32_t* link = &chain;
    while (park::slot* s = claim_next(guard, from)) {
      *link = s->index;
      link = &s->next;
    }
  }
  if (chain != 0) hand_over(chain);
}

// To the mutexes they want, as many at a time as follow each other with the same one; others are woken. (I3, I5)
void condition_variable::hand_over(std::uint32_t chain) noexcept {
  const std::int64_t now = sys::steady_now_ns();
  while (chain != 0) {
    park::slot* last = &park::slot_at(chain);
    auto* const wanted = static_cast<mutex*>(last->payload);
    if (wanted == nullptr) {
      chain = last->next;  // before it can go on
      park::publish(*last, park::phase::woken);
      continue;
    }
    const park::resource what = wanted->resource();
    park::readdress(*last, what, now);
    while (last->next != 0 && park::slot_at(last->next).payload == wanted) {
      last = &park::slot_at(last->next);
      park::readdress(*last, what, now);
    }
    const std::uint32_t rest = std::exchange(last->next, 0);
    mutex::rule::of(*wanted).adopt(chain);
    chain = rest;
  }
}

mutex& condition_variable::held_mutex(const std::unique_lock<mutex>& lock, std::source_location site) noexcept {
  if (!lock.owns_lock()) not_held(site);
  return *lock.mutex();
}

void condition_variable::not_held(std::source_location site) noexcept {
  fatal("a condition variable was waited for without its lock held by this agent", site);
}

void condition_variable::wait(std::unique_lock<mutex>& lock, std::source_location site) noexcept {
  (void)wait_with(held_mutex(lock, site), deadline::never(), {}, site, __builtin_return_address(0));
}

std::expected<void, wait_error> condition_variable::wait_until(std::unique_lock<mutex>& lock, deadline until,
                                                               const std::stop_token& stop,
                                                               std::source_location site) noexcept {
  return wait_with(held_mutex(lock, site), until, stop, site, __builtin_return_address(0));
}

std::expected<void, wait_error> condition_variable::wait_with(mutex& m, deadline until, const std::stop_token& stop,
                                                              std::source_location site) noexcept {
  return wait_with(m, until, stop, site, __builtin_return_address(0));
}

std::expected<void, wait_error> condition_variable::wait_with(mutex& m, deadline until, const std::stop_token& stop,
                                                              std::source_location site, const void* caller) noexcept {
  if (!m.held_by_me()) not_held(site);
  park::phase result{};
  {
    park::thread_wait wait{resource(), until, site};
    const bool alone = enqueue(wait.node(), &m);
    m.unlock();  // I1
    result = wait.park(until, stop, alone);
    if (result == park::phase::woken) {  // by the mutex (I5); the condition may be gone (I3)
      wait.rearm();
      (void)mutex::rule::of(m).take_on(wait, sync::attempt::woken, deadline::never(), {});
    } else {
      leave(wait.node());
    }
  }
  if (result != park::phase::woken) {
    m.lock_slow(site, caller);
    return std::unexpected{park::error_of(result)};
  }
  current_agent().now_holds(&m, m.held(false), caller);
  return {};
}

std::expected<void, wait_error> condition_variable::wait_with(const foreign_lock& lock, deadline until,
                                                              const std::stop_token& stop,
                                                              std::source_location site) noexcept {
  park::phase result{};
  {
    park::thread_wait wait{resource(), until, site};
    const bool alone = enqueue(wait.node(), nullptr);
    lock.unlock(lock.object);  // I1, I6
    result = wait.park(until, stop, alone);
    if (result != park::phase::woken) leave(wait.node());  // I3
  }
  lock.lock(lock.object);
  if (result != park::phase::woken) return std::unexpected{park::error_of(result)};
  return {};
}

bool condition_variable::enqueue(park::slot& node, mutex* wanted) noexcept {
  if (wanted != nullptr) node.amount = current_agent().id();
  node.payload = wanted;
  park::queue_guard guard{queue_};
  const bool alone = guard.empty();
  guard.push_back(node);
  return alone;
}

void condition_variable::leave(park::slot& node) noexcept {
  park::queue_guard guard{queue_};
  guard.remove(node);
}

park::resource condition_variable::resource() const noexcept {
  return {resource_kind::condition, this, origin_, queue_.named(), nullptr, 0};
}

void condition_variable::destroyed_in_use() const noexcept {
  if (!process_is_exiting()) fatal("a condition variable was destroyed while it is waited for; notify all first");
}

// --- tasks ---

condition_wait_awaiter condition_variable::async_wait(std::unique_lock<mutex>& lock, deadline until,
                                                      std::stop_token stop, std::source_location site) noexcept {
  if (!held_mutex(lock, site).held_by_me()) not_held(site);
  return {*this, lock, until, std::move(stop), site};
}

condition_wait_awaiter::condition_wait_awaiter(condition_variable& c, std::unique_lock<mutex>& lock, deadline until,
                                               std::stop_token stop, std::source_location site) noexcept
    : task_wait{c.resource(), until, std::move(stop), site}, condition_{&c}, lock_{lock} {
  begins_even_if_late();  // whoever waits in a loop must not keep the lock
}

bool condition_wait_awaiter::enqueue() noexcept {
  (void)condition_->enqueue(node(), lock_.mutex());
  lock_.mutex()->unlock();  // I1, I4
  return true;
}

park::task_wait::step condition_wait_awaiter::claimed(park::phase result) noexcept {
  const auto gate = mutex::rule::of(*lock_.mutex());
  sync::attempt how = sync::attempt::newcomer;
  if (result == park::phase::woken) {  // I5: by the mutex
    how = sync::attempt::woken;
    rearm();
  } else if (relocking_) {
    how = sync::attempt::recheck;
    rearm();
  } else {
    condition_->leave(node());
    unwinds_ = result == park::phase::cancelled;
    if (!unwinds_) error_ = park::error_of(result);
    wait_instead_for(lock_.mutex()->resource());
  }
  relocking_ = true;
  deadline recheck;
  if (!gate.take_or_enqueue(node(), how, recheck)) {
    if (!recheck.is_never()) recheck_at(recheck);
    return step::wait;
  }
  waiting_agent().now_holds(lock_.mutex(), lock_.mutex()->held(false), __builtin_return_address(0));
  return unwinds_ ? step::unwind : step::resume;
}

std::expected<void, wait_error> condition_wait_awaiter::await_resume() noexcept {
  if (error_) return std::unexpected{*error_};
  return {};
}

}  // namespace heddle
