// Taking several locks.
//
// State. None that is shared but the turn, a semaphore with one permit.
//   A round: wait for one lock, holding none of the others; then try the others; when one is refused, give all back and
//   wait for that one in the next round. The first round begins with the lowest address.
// Invariants.
//   I1  While it waits for a lock it holds none of the others. So no circle of waits goes through them.
//   I2  The turn is waited for with a limit only, whoever has it. So no circle of waits stays through it.
//   I3  Whoever leaves, by an error, an exception or the end of a task, holds none of them, and no turn.
// Progress and fairness. A round fails only because somebody else holds a lock of it. Those who lock one after the other
//   get on then. Those who also come through here, and started at the lowest address, meet each other there and wait. Two
//   that refuse each other again and again have met out of that order; from the polite_rounds-th refusal on each pauses
//   before its next round, for a random time that grows, and the pause is a wait for the turn: whoever has it goes on
//   without pauses until it holds all, while the others are away for longer and longer. So it finds them free before long;
//   no bound holds for one of them alone, as a newcomer may come first.
// Cost. Uncontended: a lock() and n - 1 try_lock()s. A refusal: the locks taken so far, twice.
// Rejected. Waiting in the order of addresses while holding the lower ones: with others who lock one inside the other in
//   another order it deadlocks. Holding the turn while waiting for it without limit: whoever holds a lock and comes here
//   for others would wait for the one who waits for that lock.
// Source. H. Hinnant, "Dining Philosophers Rebooted": smart and polite; full jitter as in backoff.

#include <heddle/base/fatal.hpp>
#include <heddle/park/agent.hpp>
#include <heddle/sync/internal/lock_all_turn.hpp>

#include <functional>

namespace heddle::sync {
namespace {

// How many refusals are taken for the others' ordinary use of the locks.
constexpr std::uint32_t polite_rounds = 4;

constexpr backoff_options pauses{
    .first = std::chrono::microseconds{50}, .most = std::chrono::milliseconds{2}, .attempts = 0, .seed = 0};

// Never destroyed: locks may be taken until the process has ended.
union lasting_semaphore {
  constexpr lasting_semaphore() noexcept : turn{1, "lock_all's turn"} {}
  ~lasting_semaphore() {}
  semaphore turn;
};
constinit lasting_semaphore lasting;

// Gives back `first` and, of the others, those before `end`.
void give_back(std::span<const lock_handle> locks, std::size_t first, std::size_t end) noexcept {
  for (std::size_t i = end; i-- > 0;) {
    if (i != first) locks[i].how->unlock(locks[i].object);
  }
  if (first != none) locks[first].how->unlock(locks[first].object);
}

// `until` is null for those who cannot give up.
std::expected<void, wait_error> take(std::span<lock_handle> locks, const deadline* until, const std::stop_token& stop,
                                     std::source_location site) {
  put_in_order(locks, site);
  refusals refused{site};
  for (std::size_t first = 0;;) {
    const lock_handle& one = locks[first];
    if (until == nullptr) {
      one.how->lock(one.object, site);  // I1
    } else if (const auto got = one.how->lock_until(one.object, *until, stop, site); !got) {
      return got;
    }
    first = try_others(locks, first);
    if (first == none) return {};
    if (stop.stop_requested()) return std::unexpected{wait_error::stopped};
    if (until != nullptr && until->has_passed()) return std::unexpected{wait_error::timeout};
    if (const auto pause = refused.pause()) {
      const deadline limit = until != nullptr ? std::min(*until, *pause) : *pause;
      if (auto turn = the_turn().acquire_until(limit, stop, 1, site)) refused.has_turn(std::move(*turn));  // I2
    }
  }
}

}  // namespace

semaphore& the_turn() noexcept { return lasting.turn; }

refusals::refusals(std::source_location site) noexcept : pace_{pauses, site} {}

std::optional<deadline> refusals::pause() noexcept {
  const auto pause = pace_.next();
  if (pace_.attempts() < polite_rounds || turn_) return std::nullopt;
  return deadline::after(*pause);
}

void put_in_order(std::span<lock_handle> locks, std::source_location site) {
  std::ranges::sort(locks, std::less<>{}, &lock_handle::object);
  if (std::ranges::adjacent_find(locks, {}, &lock_handle::object) != locks.end()) {
    fatal("lock_all was given the same lock twice", site);
  }
}

std::size_t try_others(std::span<const lock_handle> locks, std::size_t first) {
  std::size_t i = 0;
  try {
    while (i < locks.size() && (i == first || locks[i].how->try_lock(locks[i].object))) ++i;
  } catch (...) {
    give_back(locks, first, i);  // I3
    throw;
  }
  if (i == locks.size()) return none;
  give_back(locks, first, i);
  return i;
}

// Taken out and put in again, as tried: the lock order has been studied when they were really taken.
void say_where(std::span<const lock_handle> locks, const void* taken_at) noexcept {
  agent& self = current_agent();
  if (self.held() == 0) return;
  for (const lock_handle& each : locks) {
    const park::hold_list& held = self.holds();
    for (std::uint32_t i = held.listed(); i-- > 0;) {
      const park::hold entry = held.at(i);
      if (entry.lock != each.object) continue;
      self.no_longer_holds(each.object);
      self.now_holds(each.object, {entry.how.kind(), entry.how.made(), entry.how.named(), entry.how.mode(), true},
                     taken_at);
      break;
    }
  }
}

void take_all(std::span<lock_handle> locks, std::source_location site) {
  (void)take(locks, nullptr, {}, site);
  say_where(locks, __builtin_return_address(0));
}

bool try_take_all(std::span<lock_handle> locks, std::source_location site) {
  put_in_order(locks, site);
  if (try_others(locks, none) != none) return false;
  say_where(locks, __builtin_return_address(0));
  return true;
}

std::expected<void, wait_error> take_all_until(std::span<lock_handle> locks, deadline until,
                                               const std::stop_token& stop, std::source_location site) {
  const auto got = take(locks, &until, stop, site);
  if (got) say_where(locks, __builtin_return_address(0));
  return got;
}

void give_all(std::span<const lock_handle> locks) noexcept { give_back(locks, none, locks.size()); }

}  // namespace heddle::sync
