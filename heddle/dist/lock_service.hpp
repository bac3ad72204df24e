#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/dist/boot_clock.hpp>
#include <heddle/dist/lock_error.hpp>
#include <heddle/dist/store_error.hpp>
#include <heddle/park/executor.hpp>
#include <heddle/task/task.hpp>

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <source_location>
#include <stop_token>
#include <string>
#include <string_view>

namespace heddle::dist {

/// How much an engine's fencing tokens are worth, from nothing to all.
enum class fence : std::uint8_t {
  none,      ///< no tokens, or not rising
  advisory,  ///< rising, but a failure of the engine may give one twice
  strict,    ///< rising in the order of the grants, over crashes and restarts
};

/// What an engine can do, as it declares itself.
struct engine_traits {
  std::string_view name;  ///< "memory" or "sqlite"
  fence strength = fence::none;
  bool fifo = false;       ///< whether waiters of different processes are served in order
  std::string_view clock;  ///< what it assumes about clocks, in words
};

struct lock_service_options {
  fence require = fence::none;              ///< open() fails when the engine's fence is weaker
  std::chrono::milliseconds poll_least{1};  ///< the shortest pause before looking again at another process's lock
  std::chrono::milliseconds poll_most{50};  ///< the longest
  std::uint64_t seed = 0;                   ///< of the jitter of these pauses; 0: a random one
};

/// How one lock is taken.
struct lock_options {
  std::chrono::nanoseconds ttl = std::chrono::seconds{10};  ///< how long it outlives its last renewal; at least 20 ms
  deadline until = {};                                      ///< how long to wait for it
  std::stop_token stop = {};                                ///< ends the wait, too
  bool renew = true;  ///< whether the heartbeat keeps it; else it ends after `ttl`
};

/// What a lock service has done since it was opened.
struct lock_stats {
  std::uint64_t acquired = 0;
  std::uint64_t waited = 0;         ///< locks that somebody else held when they were asked for (contended)
  std::uint64_t waited_local = 0;   ///< of these: behind a holder of this service
  std::uint64_t waited_remote = 0;  ///< behind another process (a wait can count as both)
  std::uint64_t timeouts = 0;
  std::uint64_t renewals = 0;
  std::uint64_t lost = 0;        ///< leases that ended before they were released
  std::uint64_t taken_over = 0;  ///< locks got from a process that had died
  std::uint64_t held_now = 0;
  std::uint64_t waiting_now = 0;
};

class lock_service;
struct lease_state;

/// A lock that is held until it is released or its time is over, whichever comes first.
///
/// Holding a lease is no proof: a holder may be suspended past its end at any moment. So do one of these: hand token()
/// to the resource, which refuses an older one (fence_guard, admit_fenced); or stop when stop() fires and accept the
/// rest of the risk.
///
/// Destroying it releases the lock in the background. Thread-safety: one owner at a time; it may travel.
class [[nodiscard]] lease {
 public:
  lease() noexcept;
  lease(lease&& other) noexcept;
  lease& operator=(lease&& other) noexcept;
  ~lease();

  /// Whether it is one: false for a default-made, moved-from or released lease.
  [[nodiscard]] explicit operator bool() const noexcept { return state_ != nullptr; }

  [[nodiscard]] const std::string& name() const noexcept;

  /// The fencing token: every grant of this lock has a larger one than all before it, over restarts.
  /// - Tokens rise over restarts. [test: sqlite_locks.tokens_rise_over_restarts]
  [[nodiscard]] std::int64_t token() const noexcept;

  /// Who holds it: unique to the lock service. Resources take a token twice only from the same owner.
  [[nodiscard]] const std::string& owner() const noexcept;

  /// Fires when the lease is lost or about to end, always before the lock can be granted to somebody else. Callbacks run
  /// on a thread of the service and must be short; waits of heddle that are given the token end.
  /// - It fires before the lease can end. [test: lock_contract.loss_fires_the_stop_token_in_time]
  [[nodiscard]] std::stop_token stop() const noexcept;

  /// Until when the lock is certainly held: counted from the moment the last successful renewal was *sent*, less a
  /// margin for the loss to be noticed.
  [[nodiscard]] boot_clock::time_point valid_until() const noexcept;
  [[nodiscard]] bool is_valid() const noexcept { return boot_clock::now() < valid_until(); }

  /// Gives the lock back and waits until that is done. Afterwards this is no lease any more.
  /// @return lease_lost when it had ended before; then nothing of the lock's present holder is changed.
  /// - A stranger's release changes nothing. [test: lock_contract.a_late_release_changes_nothing]
  [[nodiscard]] task<std::expected<void, lock_error>> release();
  /// release() for threads.
  std::expected<void, lock_error> release_blocking();

 private:
  friend class lock_service;
  explicit lease(std::shared_ptr<lease_state> state) noexcept;
  std::shared_ptr<lease_state> state_;
};

/// Locks by name that exclude each other between tasks, threads and processes, held as leases with fencing tokens.
///
/// The engine is chosen by URL. `memory://` is inside this service only; tokens begin anew with it, so its fence is
/// advisory. `sqlite:///absolute/path` is between the processes of one machine that name the same file, which is made
/// for locks alone; the fence is strict. A holder that dies is known to be dead by the kernel and its locks are free at
/// once; one that hangs keeps them until its lease ends.
///
/// Waiters of one service are served first come, first served, one wake per release; they stand in park's snapshot as
/// waiting for a `lease` with the lock's name. Waiters of different processes look again after a pause with full jitter,
/// from `poll_least` to `poll_most`, and are not ordered.
///
/// - Two holders never overlap at the guarded resource. [test: lock_contract.excludes]
/// - Local waiters are served in order. [test: lock_contract.waiters_are_served_in_order]
/// - A dead process's locks are free at once. [test: sqlite_locks.a_killed_holder_is_free_at_once]
///
/// Not reentrant: the same name twice from one task waits for itself. Thread-safety: all members from any thread. It
/// must outlive its leases' operations; its destructor releases what is still held, and blocks for that.
class lock_service {
 public:
  /// @param blocking where the engine's blocking calls run: a thread_pool with at least two threads.
  [[nodiscard]] static store_result<std::unique_ptr<lock_service>> open(std::string_view url, executor& blocking,
                                                                        lock_service_options options = {});
  lock_service(const lock_service&) = delete;
  lock_service& operator=(const lock_service&) = delete;
  ~lock_service();

  /// Waits until the lock is held. A task whose context is stopped unwinds and leaves nothing behind.
  /// @return timeout, stopped, unavailable; never would_block.
  /// - A deadline ends the wait. [test: lock_contract.a_deadline_ends_the_wait]
  [[nodiscard]] task<std::expected<lease, lock_error>> lock(
      std::string name, lock_options options = {}, std::source_location site = std::source_location::current());

  /// The lock if nobody holds it, else would_block. Does not wait for a holder, but for the engine.
  [[nodiscard]] task<std::expected<lease, lock_error>> try_lock(
      std::string name, lock_options options = {}, std::source_location site = std::source_location::current());

  /// lock() for threads: blocks the calling thread. Not on a thread that other waiters of the lock need to go on.
  [[nodiscard]] std::expected<lease, lock_error> lock_blocking(
      std::string name, const lock_options& options = {}, std::source_location site = std::source_location::current());

  [[nodiscard]] engine_traits traits() const noexcept;
  /// The id under which this service holds its locks.
  [[nodiscard]] const std::string& owner() const noexcept;
  [[nodiscard]] lock_stats stats() const noexcept;

 private:
  friend class lease;
  friend class lock_attempt;
  friend struct lease_state;
  struct state;
  explicit lock_service(std::shared_ptr<state> s) noexcept;
  std::shared_ptr<state> state_;
};

}  // namespace heddle::dist
