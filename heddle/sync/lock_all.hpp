#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/sys/compiler.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace heddle {

/// A lock that is to be taken for reading, see shared().
template <class Lock>
struct shared_access {
  Lock& lock;
};

/// For lock_all: `lock_all(accounts, shared(rates))` takes a share of `rates`, to read.
/// - Others read at the same time. [test: lock_all.a_share_is_shared]
template <class Lock>
[[nodiscard]] constexpr shared_access<Lock> shared(Lock& lock) noexcept {
  return {lock};
}

namespace sync {

struct awaitable_operations;  // async_lock_all.hpp

/// What lock_all does with one of its locks, whatever the type.
struct lock_operations {
  void (*lock)(void*, std::source_location);
  bool (*try_lock)(void*);
  std::expected<void, wait_error> (*lock_until)(void*, deadline, const std::stop_token&, std::source_location);
  void (*unlock)(void*) noexcept;
  const awaitable_operations* awaitable;
};

struct lock_handle {
  void* object = nullptr;
  const lock_operations* how = nullptr;
};

/// How long a lock that knows no stop_token is waited for between two looks at one.
inline constexpr std::chrono::milliseconds stop_is_seen_within{10};

/// Waits with `wait_until(moment)` for a lock that knows no stop_token; sees a stop with a little delay.
template <class WaitUntil>
std::expected<void, wait_error> wait_in_slices(deadline until, const std::stop_token& stop, WaitUntil wait_until) {
  for (;;) {
    if (!stop.stop_possible()) return wait_until(until);
    const deadline slice = std::min(until, deadline::after(stop_is_seen_within));
    const std::expected<void, wait_error> got = wait_until(slice);
    if (got || got.error() != wait_error::timeout) return got;
    if (stop.stop_requested()) return std::unexpected{wait_error::stopped};
    if (until.has_passed()) return got;
  }
}

/// The operations of one type of lock, for writing or for reading. heddle's locks are told the place of the call.
template <class Lock, bool Shared>
struct operations_of {
  static Lock& of(void* object) noexcept { return *static_cast<Lock*>(object); }

  static void lock(void* object, std::source_location site) HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    if constexpr (Shared && requires(Lock& l) { l.lock_shared(site); }) {
      of(object).lock_shared(site);
    } else if constexpr (Shared) {
      of(object).lock_shared();
    } else if constexpr (requires(Lock& l) { l.lock(site); }) {
      of(object).lock(site);
    } else {
      of(object).lock();
    }
  }
  static bool try_lock(void* object) HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    if constexpr (Shared) {
      return of(object).try_lock_shared();
    } else {
      return of(object).try_lock();
    }
  }
  static std::expected<void, wait_error> lock_until(void* object, deadline until, const std::stop_token& stop,
                                                    std::source_location site)
      HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    Lock& l = of(object);
    const auto kept = [](auto got) -> std::expected<void, wait_error> {
      if (!got) return std::unexpected{got.error()};
      got->release();
      return {};
    };
    const auto as_timed = [](bool got) -> std::expected<void, wait_error> {
      if (!got) return std::unexpected{wait_error::timeout};
      return {};
    };
    if constexpr (Shared && requires { l.lock_shared_until(until, stop, site); }) {
      return kept(l.lock_shared_until(until, stop, site));
    } else if constexpr (Shared) {
      return wait_in_slices(until, stop, [&](deadline when) { return as_timed(l.try_lock_shared_until(when.time())); });
    } else if constexpr (requires { l.lock_until(until, stop, site); }) {
      return kept(l.lock_until(until, stop, site));
    } else if constexpr (requires { l.lock_until(until, site); }) {
      return wait_in_slices(until, stop, [&](deadline when) { return kept(l.lock_until(when, site)); });
    } else {
      return wait_in_slices(until, stop, [&](deadline when) { return as_timed(l.try_lock_until(when.time())); });
    }
  }
  static void unlock(void* object) noexcept HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    if constexpr (Shared) {
      of(object).unlock_shared();
    } else {
      of(object).unlock();
    }
  }

  static constexpr bool waits_until = [] {
    using moment = std::chrono::steady_clock::time_point;
    if constexpr (Shared) {
      return requires(Lock& l, moment when) { l.try_lock_shared_until(when); };
    } else {
      return requires(Lock& l, moment when) { l.try_lock_until(when); };
    }
  }();
  static constexpr lock_operations table = [] {
    if constexpr (waits_until) {
      return lock_operations{&lock, &try_lock, &lock_until, &unlock, nullptr};
    } else {
      return lock_operations{&lock, &try_lock, nullptr, &unlock, nullptr};
    }
  }();
};

template <class Lock>
struct lock_argument {
  using type = Lock&;
  using operations = operations_of<Lock, false>;
  static void* object(Lock& l) noexcept {
    return const_cast<void*>(static_cast<const volatile void*>(std::addressof(l)));
  }
  static constexpr bool valid = requires(Lock& l) {
    l.lock();
    { l.try_lock() } -> std::convertible_to<bool>;
    l.unlock();
  };
};

template <class Lock>
struct lock_argument<shared_access<Lock>> {
  using type = shared_access<Lock>;
  using operations = operations_of<Lock, true>;
  static void* object(shared_access<Lock> share) noexcept { return lock_argument<Lock>::object(share.lock); }
  static constexpr bool valid = requires(Lock& l) {
    l.lock_shared();
    { l.try_lock_shared() } -> std::convertible_to<bool>;
    l.unlock_shared();
  };
};

/// A lock with try_lock(), or shared() of one with try_lock_shared().
template <class Argument>
concept lock_or_share = lock_argument<std::remove_reference_t<Argument>>::valid;

/// The same, and it can be waited for with a deadline.
template <class Argument>
concept timed_lock_or_share =
    lock_or_share<Argument> && lock_argument<std::remove_reference_t<Argument>>::operations::waits_until;

template <class Argument>
lock_handle handle_of(Argument& argument) noexcept {
  using kind = lock_argument<Argument>;
  return {kind::object(argument), &kind::operations::table};
}

// The algorithm, in lock_all.cpp. The handles are put in the order in which they were taken.
void take_all(std::span<lock_handle> locks, std::source_location site);
[[nodiscard]] bool try_take_all(std::span<lock_handle> locks, std::source_location site);
[[nodiscard]] std::expected<void, wait_error> take_all_until(std::span<lock_handle> locks, deadline until,
                                                             const std::stop_token& stop, std::source_location site);
void give_all(std::span<const lock_handle> locks) noexcept;

/// A stop_token, and the place of the call that it is passed to.
struct stop_at {
  stop_at(std::stop_token token = {}, std::source_location place = std::source_location::current()) noexcept
      : stop{std::move(token)}, site{place} {}
  std::stop_token stop;
  std::source_location site;
};

}  // namespace sync

/// Several locks held together: `const lock_all held{a, b, c};` takes them in any order, in any mix, and gives them back
/// when it is destroyed.
///
/// Takes heddle's locks, the standard's, and whatever has lock(), try_lock() and unlock(); `shared(m)` takes a share, to
/// read. While it waits for one of them it holds none of the others, so it is no part of a deadlock, whatever order
/// others take them in. What the agent held before the call it keeps, as with any lock.
///
/// - All are held, or none. [test: lock_all.holds_all_until_it_is_destroyed, lock_all.a_lock_that_throws_leaves_none_held]
/// - Never deadlocks, in any order, with others who lock one inside the other.
///   [test: lock_all.any_order_and_any_mix_never_deadlocks, lock_all.holds_none_of_the_others_while_it_waits]
/// - Never livelocks: after some failures one at a time goes on, and the others pause.
///   [test: lock_all.gets_there_however_often_it_is_refused, lock_all.philosophers_all_eat]
/// - Failures in a row are told to watch. [test: lock_all.many_refusals_are_reported_with_the_place]
/// - Makes no lock order among its locks. [test: lock_all.makes_no_lock_order]
/// - The held list names the call, not the inside of it. [test: lock_all.the_held_list_names_the_call]
///
/// Fairness: that of each lock for one wait; for all of them together only as good as chance, see lock_all.cpp.
/// Cost: that of the locks, and some 20 ns each to note who took them. Thread-safety: belongs to the agent that made it.
/// Clang's thread-safety analysis does not see through it.
///
/// Outcomes:
/// - The same lock twice, shared or not: ends the program. [test: lock_all_misuse.the_same_lock_twice_is_fatal]
/// - A lock that the agent holds already: as with that lock's lock(). [test: lock_all_misuse.one_that_is_held_already_is_fatal]
/// - Moved from, or unlocked: it holds nothing, and unlock() does nothing. [test: lock_all.can_be_moved_and_unlocked_early]
/// - Destruction, fork, the end of a thread while it is held: as with each of the locks.
///   [test: lock_all_misuse.destroying_one_of_them_while_it_is_held_is_fatal]
template <class... Locks>
class [[nodiscard]] lock_all {
  static_assert(sizeof...(Locks) > 0, "lock_all needs a lock");

 public:
  /// Waits until it holds all of them.
  [[gnu::always_inline]] explicit lock_all(typename sync::lock_argument<Locks>::type... locks,
                                           std::source_location site = std::source_location::current())
      : handles_{sync::handle_of(locks)...}, held_{true} {
    sync::take_all(handles_, site);
  }
  lock_all(lock_all&& other) noexcept : handles_{other.handles_}, held_{std::exchange(other.held_, false)} {}
  lock_all& operator=(lock_all&& other) noexcept {
    if (this != &other) {
      unlock();
      handles_ = other.handles_;
      held_ = std::exchange(other.held_, false);
    }
    return *this;
  }
  ~lock_all() { unlock(); }

  /// Gives them back now.
  void unlock() noexcept {
    if (std::exchange(held_, false)) sync::give_all(handles_);
  }

  [[nodiscard]] bool owns_locks() const noexcept { return held_; }

  /// The guard of locks that have been taken; for those who take them.
  using handles = std::array<sync::lock_handle, sizeof...(Locks)>;
  lock_all(std::in_place_t, const handles& taken) noexcept : handles_{taken}, held_{true} {}

 private:
  handles handles_;  // in the order in which they were taken
  bool held_;
};

template <sync::lock_or_share... Locks>
lock_all(Locks&&...) -> lock_all<std::remove_reference_t<Locks>...>;

/// Takes all of them if that is possible now, else none.
/// - Never waits. [test: lock_all.try_takes_all_or_none_without_waiting]
template <sync::lock_or_share... Locks>
[[nodiscard, gnu::always_inline]] inline std::optional<lock_all<std::remove_reference_t<Locks>...>> try_lock_all(
    Locks&&... locks) {
  using all = lock_all<std::remove_reference_t<Locks>...>;
  typename all::handles handles{sync::handle_of(locks)...};
  if (!sync::try_take_all(handles, std::source_location::current())) return std::nullopt;
  return std::optional<all>{std::in_place, std::in_place, handles};
}

/// Waits until it holds all of them, the deadline comes (wait_error::timeout) or `stop` fires (wait_error::stopped); or
/// until the wait for one of them fails otherwise (wait_error::deadlock, closed). Then it holds none. Locks that know no
/// stop_token (the standard's, pi_mutex) see it within 10 ms.
/// - All that are free are taken even late. [test: lock_all.takes_what_is_free_even_late]
/// - One that gives up holds none and leaves nothing behind. [test: lock_all.one_that_gives_up_holds_none]
/// - A lock without a deadline is refused. [test: compile_fail.waiting_until_for_a_lock_without_a_deadline]
template <sync::timed_lock_or_share... Locks>
[[nodiscard, gnu::always_inline]] inline std::expected<lock_all<std::remove_reference_t<Locks>...>, wait_error>
lock_all_until(deadline until, const sync::stop_at& stop, Locks&&... locks) {
  using all = lock_all<std::remove_reference_t<Locks>...>;
  typename all::handles handles{sync::handle_of(locks)...};
  if (const auto got = sync::take_all_until(handles, until, stop.stop, stop.site); !got) {
    return std::unexpected{got.error()};
  }
  return std::expected<all, wait_error>{std::in_place, std::in_place, handles};
}

}  // namespace heddle
