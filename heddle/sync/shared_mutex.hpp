#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/origin.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/holds.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/sys/compiler.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <source_location>
#include <stop_token>
#include <type_traits>

namespace heddle {

class shared_mutex;

namespace sync {

/// A task's wait for a shared_mutex: what its awaiters share.
/// - A task that gives up leaves nothing behind. [test: shared_mutex.a_task_that_gives_up_leaves_nothing_behind]
class shared_mutex_wait : public park::task_wait {
 protected:
  ~shared_mutex_wait() = default;
  shared_mutex_wait(shared_mutex& m, park::hold_mode mode, const park::resource& what, deadline until,
                    std::stop_token stop, std::source_location site) noexcept
      : task_wait{what, until, std::move(stop), site}, mutex_{m}, mode_{mode} {}

  [[nodiscard]] bool ready() noexcept override;
  [[nodiscard]] bool enqueue() noexcept override;
  [[nodiscard]] step claimed(park::phase result) noexcept override;
  void refused(park::phase result) noexcept override;

  [[nodiscard]] shared_mutex& mutex() noexcept { return mutex_; }
  /// Why it was not taken; empty when it was, and then it stands in the list of what the task holds.
  [[nodiscard]] std::optional<wait_error> taken(const void* taken_at) noexcept;

 private:
  shared_mutex& mutex_;
  park::hold_mode mode_;
  std::optional<wait_error> error_;
};

}  // namespace sync

template <class Result>
class shared_mutex_awaiter;

/// A lock that many may hold to read, or one to write; for threads and tasks alike, 32 bytes.
///
/// For what is read often and by several at once. Where many of the uses write, or few of them overlap, a mutex is
/// quicker: `./bench sync` prints from which share of writes on. Use guarded<T, shared_mutex> where the lock protects one
/// value. Works with std::unique_lock, std::shared_lock, std::scoped_lock and std::condition_variable_any.
///
/// - One writer, or any number of readers. [test: shared_mutex.a_writer_excludes_everybody,
///   shared_mutex.readers_share_it, shared_mutex.threads_and_tasks_exclude_each_other]
/// - What was written under it is seen by whoever has it next, and what readers did by the next writer.
///   [test: shared_mutex.what_was_done_under_it_is_seen_under_it]
/// - Readers that come together write to different cache lines, and so does one that reads often, until a writer comes.
///   [test: shared_mutex.readers_that_come_together_leave_the_word_alone,
///   shared_mutex.one_that_reads_often_leaves_the_word_alone]
/// - A share may be given back on another thread than it was taken on, by the same task.
///   [test: shared_mutex.a_task_gives_its_share_back_on_another_thread]
///
/// Fairness is by phases: readers and writers take turns. Who waits is served oldest first among its kind.
/// - A writer that waits lets no later reader pass: it waits for those that were in before it.
///   [test: shared_mutex.a_writer_waits_for_no_reader_that_came_later,
///   shared_mutex.a_writer_gets_its_turn_beside_readers_that_never_rest]
/// - Readers that wait, wait for one writer at most, however many stand before them; then they go in together.
///   [test: shared_mutex.readers_wait_for_one_writer_at_most,
///   shared_mutex.a_reader_gets_its_turn_beside_writers_that_never_rest]
/// - This is strict once somebody has waited for 1 ms. Before that, a thread whose turn it is, is only told to try, and
///   those that come before it has woken up may go first. [test: shared_mutex.who_has_waited_for_long_is_let_in_at_once]
/// - A task's turn is kept for it for 1 ms; if its executor has not run it by then, others go first.
///   [test: shared_mutex.a_busy_executor_does_not_keep_others_out,
///   shared_mutex.newcomers_wait_for_a_busy_executor_only_a_while]
///
/// Cost: without waiters, one locked instruction to lock and one to unlock; readers that come together, or read for a
/// while without a writer, need none to unlock, if they are among the first 64 agents, on x86-64, with restartable
/// sequences. A writer beside such readers looks at two words in a cache line for each of them. One that waits for such a
/// reader interrupts the CPUs on which threads of the process run, once. Thread-safety: all members from any thread. Not
/// async-signal-safe.
///
/// Outcomes:
/// - Destroyed as soon as the last unlock has let the next one in: allowed.
///   [test: shared_mutex.may_be_destroyed_right_after_the_last_unlock]
/// - Destroyed while it is held or waited for: ends the program, but not while the process exits.
///   [test: shared_mutex_misuse.destroying_what_is_held_is_fatal, shared_mutex_misuse.one_that_is_held_at_exit_is_no_misuse]
/// - Unlocked by an agent that does not hold it, or in the other mode: ends the program.
///   [test: shared_mutex_misuse.unlocking_what_is_not_held_is_fatal]
/// - lock() by its writer or by one of its readers, lock_shared() by its writer: ends the program, as it could never
///   succeed; with try or with a deadline, it fails. [test: shared_mutex_misuse.locking_it_again_is_fatal,
///   shared_mutex.its_holder_cannot_try_it_again]
/// - lock_shared() by one of its readers: succeeds, unless a writer waits; then it is a deadlock, which is reported. Each
///   share is given back. [test: shared_mutex.a_reader_may_read_again_while_nobody_writes]
/// - A thread ends while it holds it: reported, and it stays held for ever. A task that does ends the program.
///   [test: shared_mutex_misuse.ending_while_holding_is_reported_for_a_thread_and_fatal_for_a_task]
/// - A waiter's thread cannot end; a task that is stopped while it waits unwinds.
///   [test: shared_mutex.a_task_that_gives_up_leaves_nothing_behind]
/// - fork: what the forking agent held, it holds in the child; what others held, stays held there.
///   [test: shared_mutex_fork.the_child_holds_what_its_agent_held]
class HEDDLE_THREAD_SAFETY(capability("shared_mutex")) shared_mutex {
 public:
  /// A lock called after the place where it is made.
  constexpr explicit(false) shared_mutex(std::source_location made = std::source_location::current()) noexcept
      : queue_{false}, origin_{made} {}

  /// A lock with a name; the text must live as long as the program (a literal).
  constexpr explicit shared_mutex(const char* name) noexcept : queue_{true}, origin_{name} {}

  shared_mutex(const shared_mutex&) = delete;
  shared_mutex& operator=(const shared_mutex&) = delete;
  ~shared_mutex() {
    if (state_.load(std::memory_order_acquire) != 0) destroyed_slow();
  }

  // --- to write ---

  /// Waits until it holds the lock alone.
  void lock(std::source_location site = std::source_location::current()) noexcept
      HEDDLE_THREAD_SAFETY(acquire_capability());

  /// Takes the lock if that is possible now; false also while it is kept for a task that is about to run.
  /// - Never waits. [test: shared_mutex.trying_never_waits]
  [[nodiscard]] bool try_lock() noexcept HEDDLE_THREAD_SAFETY(try_acquire_capability(true));

  /// Waits until it holds the lock, the deadline comes (wait_error::timeout), `stop` fires (wait_error::stopped), or the
  /// wait is chosen to break a deadlock (wait_error::deadlock).
  /// - A free lock is taken even if the deadline has passed or stop has fired.
  ///   [test: shared_mutex.a_free_lock_is_taken_even_late]
  /// - A waiter that gives up leaves nothing behind, and those that waited for its turn go on.
  ///   [test: shared_mutex.a_writer_that_gives_up_lets_the_readers_in,
  ///   shared_mutex.a_reader_that_gives_up_leaves_nothing_behind]
  [[nodiscard]] std::expected<std::unique_lock<shared_mutex>, wait_error> lock_until(
      deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) noexcept;

  /// lock_until for the standard's TimedLockable; true when it holds the lock.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> wait) noexcept
      HEDDLE_THREAD_SAFETY(try_acquire_capability(true)) {
    return take_until(park::hold_mode::exclusive, deadline::after(wait), {}, std::source_location::current())
        .has_value();
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> when) noexcept
      HEDDLE_THREAD_SAFETY(try_acquire_capability(true)) {
    return take_until(park::hold_mode::exclusive, deadline::at(when), {}, std::source_location::current()).has_value();
  }

  /// Lets go: readers that wait go in, else the oldest writer. The last access to the lock.
  void unlock() noexcept HEDDLE_THREAD_SAFETY(release_capability());

  /// For tasks: `std::unique_lock lock = co_await m.async_lock();` When the task is stopped while it waits, it unwinds.
  [[nodiscard]] shared_mutex_awaiter<std::unique_lock<shared_mutex>> async_lock(
      std::source_location site = std::source_location::current()) noexcept;

  /// For tasks: awaits std::expected<std::unique_lock<shared_mutex>, wait_error>, see lock_until.
  [[nodiscard]] shared_mutex_awaiter<std::expected<std::unique_lock<shared_mutex>, wait_error>> async_lock_until(
      deadline until, std::stop_token stop = {}, std::source_location site = std::source_location::current()) noexcept;

  // --- to read ---

  /// Waits until it shares the lock with other readers.
  void lock_shared(std::source_location site = std::source_location::current()) noexcept
      HEDDLE_THREAD_SAFETY(acquire_shared_capability());

  /// Takes a share if that is possible now; false also while a writer waits.
  [[nodiscard]] bool try_lock_shared() noexcept HEDDLE_THREAD_SAFETY(try_acquire_shared_capability(true));

  /// As lock_until, for a share.
  [[nodiscard]] std::expected<std::shared_lock<shared_mutex>, wait_error> lock_shared_until(
      deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) noexcept;

  /// lock_shared_until for the standard's SharedTimedLockable; true when it has a share.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_shared_for(std::chrono::duration<Rep, Period> wait) noexcept
      HEDDLE_THREAD_SAFETY(try_acquire_shared_capability(true)) {
    return take_until(park::hold_mode::shared, deadline::after(wait), {}, std::source_location::current()).has_value();
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_shared_until(std::chrono::time_point<Clock, Duration> when) noexcept
      HEDDLE_THREAD_SAFETY(try_acquire_shared_capability(true)) {
    return take_until(park::hold_mode::shared, deadline::at(when), {}, std::source_location::current()).has_value();
  }

  /// Gives a share back; the last reader lets the oldest writer in. The last access to the lock.
  void unlock_shared() noexcept HEDDLE_THREAD_SAFETY(release_shared_capability());

  /// For tasks: `std::shared_lock lock = co_await m.async_lock_shared();` A task that is stopped meanwhile unwinds.
  [[nodiscard]] shared_mutex_awaiter<std::shared_lock<shared_mutex>> async_lock_shared(
      std::source_location site = std::source_location::current()) noexcept;

  /// For tasks: awaits std::expected<std::shared_lock<shared_mutex>, wait_error>, see lock_until.
  [[nodiscard]] shared_mutex_awaiter<std::expected<std::shared_lock<shared_mutex>, wait_error>> async_lock_shared_until(
      deadline until, std::stop_token stop = {}, std::source_location site = std::source_location::current()) noexcept;

  /// Whether the current agent holds it to write.
  [[nodiscard]] bool held_by_me() const noexcept;

  /// The id of the agent that holds it to write, 0 if nobody does; already old when it returns.
  [[nodiscard]] std::uint32_t holder() const noexcept;

 private:
  friend class sync::shared_mutex_wait;
  template <class Result>
  friend class shared_mutex_awaiter;
  struct turn;  // what is done under the queue's lock

  [[nodiscard]] park::resource resource(park::hold_mode mode, bool breakable) const noexcept;
  [[nodiscard]] park::held_as held(park::hold_mode mode, bool tried) const noexcept;
  [[nodiscard]] std::expected<void, wait_error> take_until(park::hold_mode mode, deadline until,
                                                           const std::stop_token& stop,
                                                           std::source_location site) noexcept;
  [[nodiscard]] std::expected<void, wait_error> take(park::hold_mode mode, const park::resource& what, deadline until,
                                                     const std::stop_token& stop, std::source_location site) noexcept;
  [[nodiscard]] bool take_now(park::hold_mode mode, std::uint32_t self) noexcept;
  [[nodiscard]] bool read_now(std::uint32_t self) noexcept;
  [[nodiscard]] bool read_in_slot(std::uint32_t self) noexcept;
  [[nodiscard]] bool write_now(std::uint32_t self) noexcept;
  [[nodiscard]] bool write_over_slots(std::uint32_t self) noexcept;
  [[nodiscard]] bool spin(park::hold_mode mode, std::uint32_t self, deadline limit) noexcept;
  void refuse_if_held(park::hold_mode wanted, std::source_location site) const noexcept;
  void lock_slow(std::source_location site, const void* caller) noexcept;
  void lock_shared_alone(agent& self, std::source_location site, const void* caller) noexcept;
  void lock_shared_late(agent& self, std::source_location site, const void* caller) noexcept;
  void lock_shared_in_slot(agent& self, std::source_location site, const void* caller) noexcept;
  void lock_shared_slow(std::source_location site, const void* caller) noexcept;
  void unlock_slow() noexcept;
  void unlock_shared_elsewhere(agent& self) noexcept;
  void unlock_shared_slow() noexcept;
  void forget_share(agent& self) noexcept;
  void destroyed_slow() const noexcept;
  static void overdue(park::slot& late) noexcept;

  std::atomic<std::uint64_t> state_{0};  // see shared_mutex.cpp
  park::queue queue_;                    // under its own lock; its `named` bit says which half of origin_ counts
  std::uint32_t owed_{0};                // under the queue's lock: what is kept for tasks
  origin origin_;                        // constant
  std::uint32_t writers_ : 24 {0};       // under the queue's lock: how many stand there to write
  std::uint32_t in_flight_ : 8 {0};      // under the queue's lock: how many threads were woken and have not tried yet
  std::uint32_t epoch_{0};               // under the queue's lock: which promises to tasks still count
};

static_assert(sizeof(shared_mutex) == 32);

/// What the async_ functions of shared_mutex return; awaits `Result`: a lock, or std::expected of a lock.
template <class Result>
class [[nodiscard]] shared_mutex_awaiter final : public sync::shared_mutex_wait {
  static constexpr bool limited = !std::is_constructible_v<Result, shared_mutex&, std::adopt_lock_t>;
  static constexpr bool writes = std::is_same_v<Result, std::unique_lock<shared_mutex>> ||
                                 std::is_same_v<Result, std::expected<std::unique_lock<shared_mutex>, wait_error>>;
  static constexpr park::hold_mode mode = writes ? park::hold_mode::exclusive : park::hold_mode::shared;
  using lock_type = std::conditional_t<writes, std::unique_lock<shared_mutex>, std::shared_lock<shared_mutex>>;

 public:
  /// Called on resumption: the task holds the lock, or the error says why not.
  Result await_resume() noexcept;

 private:
  friend class shared_mutex;
  shared_mutex_awaiter(shared_mutex& m, deadline until, std::stop_token stop, std::source_location site) noexcept;
};

extern template class shared_mutex_awaiter<std::unique_lock<shared_mutex>>;
extern template class shared_mutex_awaiter<std::shared_lock<shared_mutex>>;
extern template class shared_mutex_awaiter<std::expected<std::unique_lock<shared_mutex>, wait_error>>;
extern template class shared_mutex_awaiter<std::expected<std::shared_lock<shared_mutex>, wait_error>>;

}  // namespace heddle
