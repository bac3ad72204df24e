#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/snapshot.hpp>
#include <heddle/sync/guarded.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/pi_mutex.hpp>
#include <heddle/sync/recursive_mutex.hpp>
#include <heddle/sync/semaphore.hpp>
#include <heddle/sync/shared_mutex.hpp>
#include <heddle/sync/watched.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/task/task.hpp>
#include <tests/support/waiting.hpp>

#include <algorithm>
#include <expected>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Everything that can be locked, behind one set of names, so that one typed suite can ask the same of all.
///
/// Each has lock() and unlock(), and what else the lock has: try_lock(), lock_until(deadline, stop), async_lock(),
/// async_lock_until(deadline, stop). block() takes what makes lock() wait, unblock() gives it back: for most that is the
/// lock itself. waits() are the settled waits for it. itself() is the lock, for those that the standard's guards take.
namespace heddle::test {

template <class Held>
std::expected<void, wait_error> kept(std::expected<Held, wait_error> taken) {
  if (!taken) return std::unexpected{taken.error()};
  taken->release();
  return {};
}

/// A lock that is taken as a whole, by threads and tasks, with deadlines and stop tokens.
template <class Lock>
class whole {
 public:
  void lock() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { lock_.lock(); }
  [[nodiscard]] bool try_lock() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { return lock_.try_lock(); }
  void unlock() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { lock_.unlock(); }
  [[nodiscard]] std::expected<void, wait_error> lock_until(deadline until, const std::stop_token& stop = {}) {
    return kept(lock_.lock_until(until, stop));
  }
  task<void> async_lock() { (co_await lock_.async_lock()).release(); }
  task<std::expected<void, wait_error>> async_lock_until(deadline until, std::stop_token stop = {}) {
    co_return kept(co_await lock_.async_lock_until(until, std::move(stop)));
  }
  void block() { lock(); }
  void unblock() { unlock(); }
  [[nodiscard]] std::vector<park::wait_info> waits() const { return waits_for(&lock_); }
  [[nodiscard]] Lock& itself() noexcept { return lock_; }

 private:
  Lock lock_;
};

class a_mutex final : public whole<mutex> {
 public:
  static constexpr std::string_view name = "mutex";
};

class a_recursive_mutex final : public whole<recursive_mutex> {
 public:
  static constexpr std::string_view name = "recursive_mutex";
};

class a_shared_mutex_to_write final : public whole<shared_mutex> {
 public:
  static constexpr std::string_view name = "shared_mutex";
};

/// A share of a shared_mutex; a writer is what makes it wait.
class a_share final {
 public:
  static constexpr std::string_view name = "share_of_a_shared_mutex";
  void lock() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { lock_.lock_shared(); }
  [[nodiscard]] bool try_lock() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { return lock_.try_lock_shared(); }
  void unlock() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { lock_.unlock_shared(); }
  [[nodiscard]] std::expected<void, wait_error> lock_until(deadline until, const std::stop_token& stop = {}) {
    return kept(lock_.lock_shared_until(until, stop));
  }
  task<void> async_lock() { (co_await lock_.async_lock_shared()).release(); }
  task<std::expected<void, wait_error>> async_lock_until(deadline until, std::stop_token stop = {}) {
    co_return kept(co_await lock_.async_lock_shared_until(until, std::move(stop)));
  }
  void block() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { lock_.lock(); }
  [[nodiscard]] bool try_block() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { return lock_.try_lock(); }
  void unblock() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { lock_.unlock(); }
  [[nodiscard]] std::vector<park::wait_info> waits() const { return waits_for(&lock_); }

 private:
  shared_mutex lock_;
};

/// For threads; a deadline, but no stop token.
class a_pi_mutex final {
 public:
  static constexpr std::string_view name = "pi_mutex";
  void lock() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { lock_.lock(); }
  [[nodiscard]] bool try_lock() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { return lock_.try_lock(); }
  void unlock() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { lock_.unlock(); }
  [[nodiscard]] std::expected<void, wait_error> lock_until(deadline until) { return kept(lock_.lock_until(until)); }
  void block() { lock(); }
  void unblock() { unlock(); }
  [[nodiscard]] std::vector<park::wait_info> waits() const { return waits_for(&lock_); }
  [[nodiscard]] pi_mutex& itself() noexcept { return lock_; }

 private:
  pi_mutex lock_;
};

/// A lock of the standard library's, put into the picture.
template <class Foreign>
class a_watched {
 public:
  void lock() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { lock_.lock(); }
  [[nodiscard]] bool try_lock() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { return lock_.try_lock(); }
  void unlock() HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) { lock_.unlock(); }
  [[nodiscard]] std::expected<void, wait_error> lock_until(deadline until)
      HEDDLE_THREAD_SAFETY(no_thread_safety_analysis) {
    if (!lock_.try_lock_until(until.time())) return std::unexpected{wait_error::timeout};
    return {};
  }
  void block() { lock(); }
  void unblock() { unlock(); }
  [[nodiscard]] std::vector<park::wait_info> waits() const { return waits_for(&lock_); }
  [[nodiscard]] watched<Foreign>& itself() noexcept { return lock_; }

 private:
  watched<Foreign> lock_;
};

class a_watched_mutex final : public a_watched<std::mutex> {
 public:
  static constexpr std::string_view name = "watched_std_mutex";
};

class a_watched_timed_mutex final : public a_watched<std::timed_mutex> {
 public:
  static constexpr std::string_view name = "watched_std_timed_mutex";
};

/// A semaphore with one permit, which is kept by its count alone.
class one_permit final {
 public:
  static constexpr std::string_view name = "semaphore";
  void lock() { permits_.acquire().use_up(); }
  [[nodiscard]] bool try_lock() {
    semaphore_permit taken = permits_.try_acquire();
    const bool got = taken.count() == 1;
    taken.use_up();
    return got;
  }
  void unlock() { permits_.release(); }
  [[nodiscard]] std::expected<void, wait_error> lock_until(deadline until, const std::stop_token& stop = {}) {
    return used_up(permits_.acquire_until(until, stop));
  }
  task<void> async_lock() { (co_await permits_.async_acquire()).use_up(); }
  task<std::expected<void, wait_error>> async_lock_until(deadline until, std::stop_token stop = {}) {
    co_return used_up(co_await permits_.async_acquire_until(until, std::move(stop)));
  }
  void block() { lock(); }
  void unblock() { unlock(); }
  [[nodiscard]] std::vector<park::wait_info> waits() const { return waits_for(&permits_); }

 private:
  static std::expected<void, wait_error> used_up(std::expected<semaphore_permit, wait_error> taken) {
    if (!taken) return std::unexpected{taken.error()};
    taken->use_up();
    return {};
  }

  semaphore permits_{1};
};

/// A guarded value, whose holder keeps the guard here.
template <class Lock>
class a_guarded {
 public:
  void lock() { guard_.emplace(value_.lock()); }
  void unlock() {
    const guard last = std::move(*guard_);
    guard_.reset();
  }
  task<void> async_lock() { guard_.emplace(co_await value_.async_lock()); }
  void block() { lock(); }
  void unblock() { unlock(); }
  [[nodiscard]] std::vector<park::wait_info> waits() const { return waits_named(lock_name); }

 private:
  static constexpr const char* lock_name = "the guarded value of the typed suite";
  using guard = typename guarded<int, Lock>::guard;
  guarded<int, Lock> value_{0, lock_name};
  std::optional<guard> guard_;  // the holder's
};

class a_guarded_mutex final : public a_guarded<mutex> {
 public:
  static constexpr std::string_view name = "guarded";
};

class a_guarded_shared_mutex final : public a_guarded<shared_mutex> {
 public:
  static constexpr std::string_view name = "guarded_with_a_shared_mutex";
};

/// Names the tests of a typed suite after the locks.
class by_name {
 public:
  template <class Lock>
  static std::string GetName(int /*index*/) {
    return std::string{Lock::name};
  }
};

/// Waits until `count` agents wait for the lock.
template <class Lock>
[[nodiscard]] bool has_waiters(const Lock& lock, std::size_t count = 1) {
  return eventually([&] { return lock.waits().size() == count; });
}

}  // namespace heddle::test
