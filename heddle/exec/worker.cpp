// The life of a worker; the invariants are those of thread_pool.cpp.

#include <heddle/exec/internal/core.hpp>
#include <heddle/park/executor_scope.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/sys/barrier.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/thread.hpp>

#include <algorithm>

namespace heddle {

using pools::census;
using pools::decision;
using pools::worker;

namespace {

// With urgent jobs queued, every so often something else has its turn.
constexpr unsigned turns_between_others = 8;

// How long a worker that finds nothing looks on before it sleeps, if it may; chosen with exec/post_external.
constexpr std::int64_t patience_ns = 20'000;
constexpr unsigned looks_between_times = 16;

// After so many times in vain it looks on only every so often.
constexpr unsigned patient_in_vain = 4;
constexpr unsigned tries_again_after = 32;

}  // namespace

void thread_pool::core::work(worker& me) noexcept {
  sys::block_all_signals();
  pools::own_worker = &me;
  pools::own_lane = &me.forks;
  executor_scope here{self_};
  blocking_observer::watch_this_thread(&me);
  bool searching = true;
  for (;;) {
    work_item* item = next(me);
    if (item == nullptr) {
      if (!searching) begin_search();
      searching = true;
      item = search(me);
      if (item == nullptr) {
        if (sleep(me) == rest::ended) return;  // I5
        continue;
      }
    }
    if (searching) {
      searching = false;
      stop_searching();
    }
    here.run(item);
    me.run.store(me.run.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (now().active() > how_.threads) searching = stand_aside();
  }
}

work_item* thread_pool::core::next(worker& me) noexcept {
  ++me.turn;
  if (jobs_.urgent() != 0 && me.turn % turns_between_others != 0) {
    if (work_item* const item = take_from_lists(me, 1, true); item != nullptr) return item;
  }
  if (me.turn % pools::turns_between_looks == 0) {
    if (work_item* const item = take_from_lists(me, 1); item != nullptr) return item;
    if (work_item* const item = take_from_inlets(me, 1); item != nullptr) return item;
  }
  if (work_item* const item = me.batch.pop(); item != nullptr) return item;
  item_batch items;
  if (const std::size_t count = me.own.take(items, items.size() / 2, 1); count != 0) {
    return keep_rest(me, items, count);
  }
  if (work_item* const item = take_from_inlets(me, items.size()); item != nullptr) return item;
  return take_from_lists(me, items.size());
}

// The first of what has been taken, to be run now; the rest goes into the worker's batch, at whose bottom the next lies.
work_item* thread_pool::core::keep_rest(worker& me, const item_batch& items, std::size_t count) noexcept {
  if (count == 1) return items[0];
  for (std::size_t i = count - 1; i > 0; --i) (void)me.batch.push(*items[i]);  // it is empty, so there is room
  announce(me.batch.published());                                              // I4
  return items[0];
}

// At most `most` items, which may be more than one only if the worker has no batch.
work_item* thread_pool::core::take_from_inlets(worker& me, std::size_t most) noexcept {
  const std::size_t number = inlets_.count();
  const unsigned first = me.first_inlet++;
  for (std::size_t i = 0; i < number; ++i) {
    auto& from = inlets_.at((first + i) % number).items;
    if (from.size() == 0) continue;
    item_batch items;
    if (const std::size_t count = from.take(items, most, how_.threads); count != 0) return keep_rest(me, items, count);
  }
  return nullptr;
}

// Likewise.
work_item* thread_pool::core::take_from_lists(worker& me, std::size_t most, bool urgent) noexcept {
  if (posted_.length() == 0 && jobs_.length() == 0) return nullptr;
  decision then;
  item_batch items;
  items[0] = nullptr;
  std::size_t count = 0;
  {
    const park::queue_guard guard{lock_};
    jobs_first_ = urgent || !jobs_first_;
    if (jobs_first_ || posted_.length() == 0) items[0] = jobs_.pop();
    if (items[0] != nullptr) {
      count = 1;
      let_submitter_in(then);
    } else {
      count = posted_.pop(items, std::min(most, posted_.length() / how_.threads + 1));
    }
  }
  carry_out(then);
  return count != 0 ? keep_rest(me, items, count) : nullptr;
}

work_item* thread_pool::core::take_from_others(worker& me) noexcept {
  const auto took = [&me](std::size_t count, unsigned victim) {
    me.first_victim = victim;
    me.stolen.store(me.stolen.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  };
  const std::size_t count = known();
  const unsigned first = me.first_victim;
  for (std::size_t i = 0; i < count; ++i) {
    worker* const victim = workers_[(first + i) % count].load();
    if (victim == nullptr || victim == &me) continue;
    if (pools::fork_job* const job = victim->forks.steal(); job != nullptr) {
      took(1, victim->index);
      return job;
    }
    item_batch items;
    if (const std::size_t taken = victim->own.take(items, items.size(), 2); taken != 0) {
      took(taken, victim->index);
      return keep_rest(me, items, taken);
    }
    if (work_item* const item = victim->batch.steal(); item != nullptr) {
      took(1, victim->index);
      return item;
    }
  }
  return nullptr;
}

// Looks everywhere, and for a while if there are processors to spare; null: nothing has been found.
work_item* thread_pool::core::search(worker& me) noexcept {
  const bool patient = sys::allowed_cpus() > 1 && now().searching() <= 1 &&
                       (me.in_vain < patient_in_vain || me.in_vain % tries_again_after == 0);
  std::int64_t until = 0;
  for (unsigned looks = 0;; ++looks) {
    work_item* item = take_from_others(me);
    if (item == nullptr) item = take_from_inlets(me, item_batch{}.size());
    if (item == nullptr) item = take_from_lists(me, item_batch{}.size());
    if (item != nullptr) {
      if (looks != 0) me.in_vain = 0;
      return item;
    }
    if (!patient) break;
    for (int i = 0; i < 4; ++i) sys::spin_pause();
    if (looks % looks_between_times != 0) continue;
    const std::int64_t now_ns = sys::steady_now_ns();
    if (until == 0) until = now_ns + patience_ns;
    if (now_ns >= until) break;
  }
  ++me.in_vain;
  return nullptr;
}

// An active worker has found nothing of its own.
void thread_pool::core::begin_search() noexcept { ceased(census{counts.fetch_add(census::one_searching)}); }

// Called with the census before somebody became idle in whatever way. I1
void thread_pool::core::ceased(census before) noexcept {
  if (before.idle() == 0) sys::heavy_barrier();
}

void thread_pool::core::stop_searching() noexcept {
  const census before{counts.fetch_sub(census::one_searching)};
  if (before.searching() == 1 && has_work()) notify();  // I1, I3
}

void thread_pool::core::before_blocking() noexcept {
  ceased(census{counts.fetch_add(census::one_blocked)});
  if (has_work()) notify();  // I1
}

void thread_pool::core::after_blocking() noexcept { counts.fetch_sub(census::one_blocked); }

// Called by a searching worker that has found nothing. When it returns `woken`, it counts as searching again.
thread_pool::core::rest thread_pool::core::sleep(worker& me) noexcept {
  me.recent_wait.store(0, std::memory_order_relaxed);
  void* drainers = nullptr;
  {
    park::thread_wait wait{resource(), deadline::never(), std::source_location::current()};
    bool ends = false;
    {
      park::queue_guard guard{lock_};
      ends = ending_;
      if (ends) {
        counts.fetch_sub(census::one_searching + census::one_alive);
        if (has_work()) {  // I1
          counts.fetch_add(census::one_searching + census::one_alive);
          return rest::woken;
        }
      } else {
        guard.push_front(wait.node());  // the last to fall asleep is the first to be woken
        counts.fetch_add(census::one_asleep - census::one_searching);
      }
      tell_those_who_drain(drainers);
    }
    if (ends) {
      pools::own_worker = nullptr;
      pools::own_lane = nullptr;
      wake_all(drainers);
      return rest::ended;
    }
    wake_all(drainers);
    if (has_work()) notify();  // I1: wakes this worker, if any
    (void)wait.park(deadline::never(), {});
  }
  return rest::woken;
}

// Too many are active, because a blocked worker came back: one of them sleeps until it is needed. True: it did, and
// counts as searching.
bool thread_pool::core::stand_aside() noexcept {
  park::thread_wait wait{resource(), deadline::never(), std::source_location::current()};
  {
    park::queue_guard guard{lock_};
    if (ending_) return false;
    std::uint64_t seen = counts.load();
    do {
      if (census{seen}.active() <= how_.threads) return false;
    } while (!counts.compare_exchange_weak(seen, seen + census::one_asleep));  // I2
    ceased(census{seen});
    guard.push_front(wait.node());
  }
  (void)wait.park(deadline::never(), {});
  return true;
}

}  // namespace heddle
