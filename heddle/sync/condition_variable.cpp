// Condition variable.
//
// State. A queue of waiters; nothing else. Once notified, a waiter is an ordinary newcomer at the mutex.
// Invariants.
//   I1  A waiter enters the queue before it lets go of the mutex, so a notification under the mutex, or after it, finds it.
//   I2  A notification is used up only by a waiter that it has claimed; one that is just timing out is passed by.
//   I3  Once it has been claimed by a notification, a waiter does not touch the condition again.
//   I4  unique_lock's flag stays `owned` throughout, as with std::condition_variable; mutex and agent are told the truth.
// Edges. E1 the mutex orders the predicate's data; the claim's edges (park/wait.cpp) order the rest.
// Cost. notify without waiters: one load. With: the queue's lock and one wake each.
// Rejected. Building on futex sequence numbers: glibc's algorithm lost wake-ups (bug 25847) and cannot name its waiters.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/sync/condition_variable.hpp>
#include <heddle/sync/internal/mutex_rule.hpp>

namespace heddle {
namespace {

mutex& checked(const std::unique_lock<mutex>& lock, std::source_location site) noexcept {
  if (!lock.owns_lock() || !lock.mutex()->held_by_me()) {
    fatal("a condition variable was waited for without its lock held by this agent", site);
  }
  return *lock.mutex();
}

}  // namespace

void condition_variable::notify_one() noexcept {
  if (queue_.seems_empty()) return;  // I1
  park::slot* woken = nullptr;
  {
    park::queue_guard guard{queue_};
    for (woken = guard.first(); woken != nullptr; woken = guard.after(*woken)) {
      if (park::claim(*woken)) {  // I2
        guard.remove(*woken);
        break;
      }
    }
  }
  if (woken != nullptr) park::publish(*woken, park::phase::woken);
}

// The claimed ones are chained through `next`, which is theirs no more and nobody else's yet.
void condition_variable::notify_all() noexcept {
  if (queue_.seems_empty()) return;
  std::uint32_t chain = 0;
  {
    park::queue_guard guard{queue_};
    std::uint32_t* link = &chain;
    for (park::slot* s = guard.first(); s != nullptr;) {
      park::slot* const next = guard.after(*s);
      if (park::claim(*s)) {  // I2
        guard.remove(*s);
        *link = s->index;
        link = &s->next;
      }
      s = next;
    }
    *link = 0;
  }
  while (chain != 0) {
    park::slot& s = park::slot_at(chain);
    chain = s.next;
    park::publish(s, park::phase::woken);
  }
}

void condition_variable::wait(std::unique_lock<mutex>& lock, std::source_location site) noexcept {
  (void)wait_until(lock, deadline::never(), {}, site);
}

std::expected<void, wait_error> condition_variable::wait_until(std::unique_lock<mutex>& lock, deadline until,
                                                               const std::stop_token& stop,
                                                               std::source_location site) noexcept {
  mutex& m = checked(lock, site);
  park::phase result{};
  {
    park::thread_wait wait{resource(), until, site};
    {
      park::queue_guard guard{queue_};
      guard.push_back(wait.node());
    }
    m.unlock();  // I1
    result = wait.park(until, stop);
    if (result != park::phase::woken) {  // I3
      park::queue_guard guard{queue_};
      guard.remove(wait.node());
    }
  }
  m.lock(site);
  if (result != park::phase::woken) return std::unexpected{park::error_of(result)};
  return {};
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
  (void)checked(lock, site);
  return {*this, lock, until, std::move(stop), site};
}

condition_wait_awaiter::condition_wait_awaiter(condition_variable& c, std::unique_lock<mutex>& lock, deadline until,
                                               std::stop_token stop, std::source_location site) noexcept
    : task_wait{c.resource(), until, std::move(stop), site}, condition_{&c}, lock_{lock} {
  begins_even_if_late();  // whoever waits in a loop must not keep the lock
}

bool condition_wait_awaiter::enqueue() noexcept {
  {
    park::queue_guard guard{condition_->queue_};
    guard.push_back(node());
  }
  lock_.mutex()->unlock();  // I1, I4
  return true;
}

park::task_wait::step condition_wait_awaiter::claimed(park::phase result) noexcept {
  const auto gate = mutex::rule::of(*lock_.mutex());
  sync::attempt how = sync::attempt::newcomer;
  if (relocking_) {
    how = result == park::phase::woken ? sync::attempt::woken : sync::attempt::recheck;
    rearm();
  } else {
    if (result != park::phase::woken) {  // I3
      park::queue_guard guard{condition_->queue_};
      guard.remove(node());
      unwinds_ = result == park::phase::cancelled;
      if (!unwinds_) error_ = park::error_of(result);
    }
    relocking_ = true;
    wait_instead_for(lock_.mutex()->resource());
  }
  node().amount = waiting_agent().id();
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
