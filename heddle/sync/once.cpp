// Once. How a waiter enters and leaves: queue_wait.cpp.
//
// State. word = id << 2 | waiters | done.
//   id         the agent that is at it, 0 if there is none.
//   waiters    changes only under the queue's lock; there whenever a node that can be claimed stands in the queue.
//   done       for good; there is no id and nobody waits then.
// Invariants.
//   I1  Who ends a turn has first taken all waiters out, and who enters the queue has found an id in the step that says so:
//       with waiters, there is an id.
//   I2  The store that ends a turn is the last access to the object; those who were taken out learn it afterwards. If it
//       was done they go on without touching the object; if it was given up they all look again, so that no task whose
//       executor is busy can keep the turn from the others.
// Edges.
//   E1  finish: release on the word -> is_done, take, look: acquire.

#include <heddle/base/exiting.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/sync/internal/claimed_waiters.hpp>
#include <heddle/sync/once.hpp>

namespace heddle {

once::state once::take(std::uint32_t self) noexcept {
  std::uint32_t seen = word_.load(std::memory_order_acquire);
  for (;;) {
    if ((seen & done_bit) != 0) return state::done;  // E1
    if (seen >> id_shift != 0) return state::others;
    if (word_.compare_exchange_weak(seen, self << id_shift, std::memory_order_acquire, std::memory_order_acquire)) {
      return state::mine;  // E1
    }
  }
}

bool once::look(std::uint32_t self, bool& mine) noexcept {
  for (;;) {
    const state now = take(self);
    mine = now == state::mine;
    if (now != state::others) return true;
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while (seen >> id_shift != 0) {
      if ((seen & waiters_bit) != 0 || word_.compare_exchange_weak(seen, seen | waiters_bit, std::memory_order_relaxed,
                                                                   std::memory_order_relaxed)) {  // I1
        return false;
      }
    }
  }
}

void once::finish(std::uint32_t outcome) noexcept {
  agent& self = current_agent();
  if (holder() != self.id_if_any()) fatal("a once was ended by another agent than the one that is at it");
  sync::claimed_waiters gone;
  std::uint32_t seen = word_.load(std::memory_order_relaxed);
  for (;;) {
    if ((seen & waiters_bit) != 0) {
      park::queue_guard guard{queue_};
      gone.take(guard, sync::claimed_waiters::all);
      word_.fetch_and(~waiters_bit, std::memory_order_relaxed);  // I1
      seen = word_.load(std::memory_order_relaxed);
    } else if (word_.compare_exchange_weak(seen, outcome, std::memory_order_release, std::memory_order_relaxed)) {
      break;  // E1, I2
    }
  }
  self.no_longer_holds(this);
  gone.publish(outcome == done_bit ? park::phase::granted : park::phase::woken);
}

once_turn::~once_turn() {
  if (of_ != nullptr) of_->finish(0);
}

void once_turn::done() noexcept {
  if (of_ == nullptr) fatal("there is no turn to end: it has been done");
  std::exchange(of_, nullptr)->finish(once::done_bit);
}

once_turn once::turn(bool tried, const void* caller) noexcept {
  current_agent().now_holds(this, {resource_kind::once, origin_, queue_.named(), park::hold_mode::exclusive, tried},
                            caller);
  return once_turn{this};
}

std::uint32_t once::checked_self(std::source_location site) const noexcept {
  const std::uint32_t self = current_agent().id();
  if (holder() == self) fatal("a once was called from within its own function, which would wait for itself", site);
  return self;
}

// True: it has the turn. False: it has been done, and the object may be gone (I2).
std::expected<bool, wait_error> once::wait(std::uint32_t self, bool breakable, deadline until,
                                           const std::stop_token& stop, std::source_location site) noexcept {
  if (const state now = take(self); now != state::others) return now == state::mine;
  struct asked {
    once* which;
    std::uint32_t self;
    bool mine;
  };
  asked about{this, self, false};
  const sync::look how{[](void* object) noexcept {
                         auto* const question = static_cast<asked*>(object);
                         return question->which->look(question->self, question->mine);
                       },
                       &about};
  const auto waited =
      sync::wait_in(queue_, how, breakable ? resource().for_breakable_call() : resource(), until, stop, site);
  if (!waited) return std::unexpected{waited.error()};
  return about.mine;
}

once_turn once::begin(std::source_location site) noexcept {
  const std::uint32_t self = checked_self(site);
  const auto mine = wait(self, false, deadline::never(), {}, site);
  return mine && *mine ? turn(false, __builtin_return_address(0)) : once_turn{};
}

std::expected<once_turn, wait_error> once::begin_until(deadline until, const std::stop_token& stop,
                                                       std::source_location site) noexcept {
  const std::uint32_t self = checked_self(site);
  const auto mine = wait(self, true, until, stop, site);
  if (!mine) return std::unexpected{mine.error()};
  return *mine ? turn(!until.is_never(), __builtin_return_address(0)) : once_turn{};
}

once_turn once::try_begin() noexcept {
  const std::uint32_t self = current_agent().id();
  return take(self) == state::mine ? turn(true, __builtin_return_address(0)) : once_turn{};
}

park::resource once::resource() const noexcept {
  return {resource_kind::once, this, origin_, queue_.named(), &word_, id_shift};
}

void once::destroyed_in_use() const noexcept {
  if (process_is_exiting()) return;
  fatal(holder() != 0 ? "a once was destroyed while somebody is at it" : "a once was destroyed while it is waited for");
}

// --- tasks ---

bool once::asker::at_once() noexcept {
  const state now = which_.take(self_);
  mine_ = now == state::mine;
  return now != state::others;
}

once_turn once::asker::value() const noexcept {
  return mine_ ? which_.turn(tried_, __builtin_return_address(0)) : once_turn{};
}

sync::queue_awaiter<once::asker, once_turn> once::async_begin(std::source_location site) noexcept {
  return {asker{*this, checked_self(site), false}, queue_, resource(), {}, {}, site};
}

sync::queue_awaiter_until<once::asker, once_turn> once::async_begin_until(deadline until, std::stop_token stop,
                                                                          std::source_location site) noexcept {
  const std::uint32_t self = checked_self(site);
  return {asker{*this, self, !until.is_never()}, queue_, resource().for_breakable_call(), until, std::move(stop), site};
}

}  // namespace heddle
