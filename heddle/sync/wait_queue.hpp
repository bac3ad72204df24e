#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/origin.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/park/resource.hpp>
#include <heddle/sync/queue_wait.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <source_location>
#include <stop_token>
#include <utility>

namespace heddle {

/// The word that holds the id of the agent that is waited for, as word >> shift; 0 when there is none. With it, a lock
/// takes part in the search for deadlocks: current_agent().id() is the id. It must live as long as anybody waits. A lock
/// tells its agent, too, with agent::now_holds() and no_longer_holds(): then it is listed, and its order is watched.
/// - The picture shows whom it names. [test: wait_queue.a_lock_built_on_it_names_its_holder]
/// - A deadlock is found. [test: wait_queue.a_deadlock_of_two_locks_built_on_it_is_found_and_can_be_broken]
struct owner_word {
  const std::atomic<std::uint32_t>* word = nullptr;
  std::uint8_t shift = 0;
};

// [contract]
/// Where threads and tasks wait for a state of the user's own; 24 bytes. A primitive that is built on it waits inside the
/// picture: its waits are listed, end with deadlines and stops, and take part in the search for deadlocks.
///
/// The state belongs to the queue's lock: it is read and changed only in `ready()`, which a wait asks, and in `change()`,
/// which a wake calls; both run under that lock. `ready()` says that there is nothing to wait for, and may take what is
/// there. Both must be short, must not wait, must not use a wait queue, and an exception from them ends the program.
///
/// There are two ways to end a wait. A wake is a permission to look again: `ready()` is asked, and a waiter that finds
/// nothing waits on in its old place. A hand-over ends the wait for good: what the waiter came for is its own, and it
/// returns without asking.
///
/// - No wake-up is lost: a wait asks and enters the queue in one step. [test: wait_queue.no_wake_up_is_lost]
/// - Woken, and handed over to, is the oldest first. [test: wait_queue.wakes_the_oldest_first]
/// - One that gives up does not use up a wake. [test: wait_queue.one_that_gives_up_does_not_use_up_a_wake]
/// - A newcomer asks before it queues up, so it may be faster than one that has been woken; that one keeps its place.
///   Where the order matters, hand over. [test: wait_queue.one_that_was_woken_in_vain_keeps_its_place,
///   wait_queue.what_is_handed_over_is_not_taken_by_a_newcomer]
/// - A woken task whose executor is busy strands nobody: if others of other executors stand behind it, the next is woken
///   after 1 ms. [test: wait_queue.a_busy_executor_does_not_strand_those_behind]
///   What is handed over stays with the task until its executor gets to it: wake where that may be long.
/// - Waiters that want different things are woken all at once, or stand in a queue for each sort: a wake of one may go to
///   one that it does not help, and is used up.
///   [test: wait_queue.wake_all_lets_in_whoever_is_ready]
///
/// Fairness: wakes and hand-overs go to the oldest; newcomers may barge in before a woken one.
/// Cost: 24 bytes; each call takes the queue's lock, two atomic operations; a waiter its record and a sleep.
/// Thread-safety: all members from any thread. Not async-signal-safe.
///
/// Outcomes:
/// - Destroyed by the last waiter as soon as its wait has returned: allowed, even if the waker has not returned yet. Who
///   was woken asks again and needs the object; who was handed over to does not.
///   [test: wait_queue.may_be_destroyed_by_whom_the_last_wake_let_in,
///   wait_queue.may_be_destroyed_once_all_were_handed_over_to]
/// - Destroyed while somebody stands in it: ends the program, but not while the process exits.
///   [test: wait_queue_misuse.destroying_what_is_waited_for_is_fatal,
///   wait_queue_misuse.a_wait_that_lasts_until_exit_is_no_misuse]
/// - Used from within `ready()` or `change()`: ends the program. [test: wait_queue_misuse.using_it_from_within_is_fatal]
/// - An exception from `ready()` or `change()`: ends the program. [test: wait_queue_misuse.an_exception_from_within_is_fatal]
/// - fork: the child has the state and none of the threads that waited.
///   [test: wait_queue_fork.the_child_passes_by_those_who_are_not_there]
/// - A thread that is cancelled while it waits goes on waiting: a wait is no cancellation point.
///   [test: wait_queue.a_wait_is_no_cancellation_point]
class wait_queue {
 public:
  /// A queue called after the place where it is made; the picture shows its waiters as waiting for a `kind`.
  constexpr explicit(false) wait_queue(resource_kind kind = resource_kind::other, owner_word owner = {},
                                       std::source_location made = std::source_location::current()) noexcept
      : queue_{false}, kind_{kind}, owner_shift_{owner.shift}, origin_{made}, owner_{owner.word} {}

  /// With a name; the text must live as long as the program (a literal).
  constexpr explicit wait_queue(const char* name, resource_kind kind = resource_kind::other,
                                owner_word owner = {}) noexcept
      : queue_{true}, kind_{kind}, owner_shift_{owner.shift}, origin_{name}, owner_{owner.word} {}
  // [/contract]

  wait_queue(const wait_queue&) = delete;
  wait_queue& operator=(const wait_queue&) = delete;
  ~wait_queue() {
    if (!queue_.seems_empty()) destroyed_in_use();
  }

  /// Asks without waiting: what `ready()` says.
  /// - Never waits. [test: wait_queue.try_wait_only_asks]
  template <std::predicate Ready>
  bool try_wait(Ready ready) noexcept {
    return ask_once(look_of(ready));
  }

  /// Waits until `ready()` holds, or until it is handed over to.
  template <std::predicate Ready>
  void wait(Ready ready, std::source_location site = std::source_location::current()) noexcept {
    const sync::look how = look_of(ready);
    (void)wait_slow(how, deadline::never(), {}, site, false);
  }

  /// The same until the deadline comes (wait_error::timeout), `stop` fires (stopped), or the wait is chosen to break a
  /// deadlock (deadlock). Asks at least once, also when the deadline has passed or stop has fired.
  /// - A deadline ends it, and a stop; it has taken nothing then. [test: wait_queue.one_that_gives_up_leaves_nothing_behind]
  /// - What is there is had even late. [test: wait_queue.what_is_there_is_had_even_late]
  template <std::predicate Ready>
  [[nodiscard]] std::expected<void, wait_error> wait_until(
      Ready ready, deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) noexcept {
    const sync::look how = look_of(ready);
    return wait_slow(how, until, stop, site, true);
  }

  /// What a task's wait asks; copied into the wait.
  template <std::predicate Ready>
  class asker {
   public:
    asker(wait_queue& where, Ready ready) noexcept : where_{where}, ready_{std::move(ready)} {}
    bool at_once() noexcept { return where_.ask_once(look_of(ready_)); }
    bool under_lock() noexcept { return ask(look_of(ready_)); }

   private:
    wait_queue& where_;
    Ready ready_;
  };

  /// For tasks: `co_await q.async_wait([&] { return ...; });` A stopped task unwinds and has taken nothing.
  /// - Threads and tasks stand in one queue. [test: wait_queue.threads_and_tasks_stand_in_one_queue]
  /// - A stopped task leaves nothing behind. [test: wait_queue.a_stopped_task_leaves_nothing_behind]
  template <std::predicate Ready>
  [[nodiscard]] auto async_wait(Ready ready, std::source_location site = std::source_location::current()) noexcept {
    return sync::queue_awaiter<asker<Ready>>{{*this, std::move(ready)}, queue_, resource(), {}, {}, site};
  }

  /// For tasks: awaits std::expected<void, wait_error>, see wait_until.
  template <std::predicate Ready>
  [[nodiscard]] auto async_wait_until(Ready ready, deadline until, std::stop_token stop = {},
                                      std::source_location site = std::source_location::current()) noexcept {
    return sync::queue_awaiter_until<asker<Ready>>{
        {*this, std::move(ready)}, queue_, resource().for_breakable_call(), until, std::move(stop), site};
  }

  /// Calls `change()`, then lets the oldest waiter, the `count` oldest, or all who wait now look again. The last access
  /// to the queue.
  /// @return how many were woken.
  template <std::invocable Change>
  std::size_t wake(std::size_t count, Change change) noexcept {
    return wake_slow(count, step_of(change));
  }
  template <std::invocable Change>
  std::size_t wake_one(Change change) noexcept {
    return wake_slow(1, step_of(change));
  }
  template <std::invocable Change>
  std::size_t wake_all(Change change) noexcept {
    return wake_slow(SIZE_MAX, step_of(change));
  }

  /// Ends the waits of up to `count` of the oldest and calls `change(n)` with the number of them. They return without
  /// asking, so `change` should count what they came for as given. The last access to the queue.
  /// - Those who were handed over to do not ask. [test: wait_queue.who_is_handed_over_to_does_not_ask]
  /// - The number is right. [test: wait_queue.a_hand_over_says_how_many_there_were]
  template <std::invocable<std::size_t> Change>
  std::size_t hand_over(std::size_t count, Change change) noexcept {
    return hand_over_slow(count,
                          {[](void* f, std::size_t n) { (*static_cast<Change*>(f))(n); }, std::addressof(change)});
  }

  /// Whether anybody stands in it; already old when it returns.
  [[nodiscard]] bool has_waiters() const noexcept { return !queue_.seems_empty(); }

 private:
  struct step {
    void (*call)(void* f, std::size_t n);
    void* f;
  };

  template <class Ready>
  static sync::look look_of(Ready& ready) noexcept {
    return {[](void* f) noexcept { return static_cast<bool>((*static_cast<Ready*>(f))()); }, std::addressof(ready)};
  }
  template <class Change>
  static step step_of(Change& change) noexcept {
    return {[](void* f, std::size_t) { (*static_cast<Change*>(f))(); }, std::addressof(change)};
  }

  static bool ask(sync::look ready) noexcept;  // under the queue's lock
  static void run(step change, std::size_t n) noexcept;
  static void wake_next_of(park::slot& late) noexcept;
  bool ask_once(sync::look ready) noexcept;
  std::expected<void, wait_error> wait_slow(sync::look ready, deadline until, const std::stop_token& stop,
                                            std::source_location site, bool breakable) noexcept;
  std::size_t wake_slow(std::size_t count, step change) noexcept;
  std::size_t hand_over_slow(std::size_t count, step change) noexcept;
  [[nodiscard]] park::resource resource() const noexcept;
  void destroyed_in_use() const noexcept;

  park::queue queue_;  // under its own lock, as is the user's state
  // The rest is constant.
  resource_kind kind_;
  std::uint8_t owner_shift_;
  origin origin_;
  const std::atomic<std::uint32_t>* owner_;
};

static_assert(sizeof(wait_queue) == 24);

}  // namespace heddle
