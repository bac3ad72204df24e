#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/channel/channel.hpp>
#include <heddle/sync/wait_queue.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <source_location>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace heddle {

template <class T>
class work_queue;

namespace channels {

/// How many items of a work_queue have not been done yet, and who waits for the last.
class unfinished {
 public:
  unfinished() noexcept : none_{"work_queue", resource_kind::other} {}

  void add() noexcept {
    none_.wake(0, [this] { ++count_; });
  }
  /// One less; the last access if that was the last. False: there was none.
  bool remove() noexcept {
    bool was_last = false;
    none_.wake(0, [&] {
      was_last = count_ <= 1;
      if (!was_last) --count_;
    });
    if (!was_last) return true;
    bool any = false;
    none_.wake_all([&] {  // in one step, since who joins may destroy it; others may have been added meanwhile
      any = count_ > 0;
      if (any) --count_;
    });
    return any;
  }
  [[nodiscard]] std::size_t count() noexcept {
    std::size_t now = 0;
    none_.try_wait([&] {
      now = count_;
      return true;
    });
    return now;
  }
  [[nodiscard]] std::expected<void, wait_error> wait(deadline until, const std::stop_token& stop,
                                                     std::source_location site) noexcept {
    return none_.wait_until([this] { return count_ == 0; }, until, stop, site);
  }
  [[nodiscard]] auto async_wait(deadline until, std::stop_token stop, std::source_location site) noexcept {
    return none_.async_wait_until([this] { return count_ == 0; }, until, std::move(stop), site);
  }

 private:
  wait_queue none_;
  std::size_t count_ = 0;  // under the queue's lock
};

/// Counts an item from before it is sent; takes that back unless it is kept.
class counted {
 public:
  explicit counted(unfinished& in) noexcept : in_{&in} { in.add(); }
  counted(counted&& other) noexcept : in_{std::exchange(other.in_, nullptr)} {}
  counted& operator=(counted&&) = delete;
  ~counted() {
    if (in_ != nullptr) in_->remove();
  }
  void keep() noexcept { in_ = nullptr; }

 private:
  unfinished* in_;
};

/// What work_queue::async_put() returns.
template <class T>
class [[nodiscard]] put_awaiter final {
 public:
  put_awaiter(unfinished& in, channel<T>& to, T&& value, deadline until, std::stop_token stop,
              std::source_location site) noexcept(std::is_nothrow_move_constructible_v<T>)
      : counted_{in}, send_{to.async_send(std::move(value), until, std::move(stop), site)} {}

  [[nodiscard]] bool await_ready() noexcept { return send_.await_ready(); }
  template <agent_promise Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    return send_.await_suspend(handle);
  }
  std::expected<void, send_error<T>> await_resume() {
    auto sent = send_.await_resume();
    if (sent) counted_.keep();
    return sent;
  }

 private:
  counted counted_;
  send_awaiter<T> send_;
};

}  // namespace channels

// [contract]
/// Hands out work and knows when all of it is done: a channel whose items are counted until somebody says of each that it
/// is done. Its contract is that of Python's queue.Queue: put, get, task_done, join, shutdown.
///
///     work_queue<job> jobs{bounded(100)};
///     // workers:      while (auto job = jobs.get()) { run(*job); jobs.task_done(); }
///     // the manager:  put all; jobs.join(); jobs.shutdown();
///
/// - What was put is got once, first in, first out, by threads and tasks alike.
///   [test: work_queue.what_was_put_is_got_once_and_in_order]
/// - join() returns when as many items have been done as were put. [test: work_queue.join_returns_when_all_is_done]
/// - An item whose put failed is not waited for. [test: work_queue.a_failed_put_is_not_waited_for]
/// - After shutdown() nothing can be put; what is inside can still be got and done, then get() fails with closed.
///   [test: work_queue.shutdown_lets_what_is_inside_be_got]
/// - A shutdown that is immediate throws away what is inside and counts it as done, so that who joins goes on.
///   [test: work_queue.an_immediate_shutdown_counts_what_it_throws_away_as_done]
/// - Saying task_done() more often than there were items ends the program.
///   [test: work_queue_misuse.more_done_than_put_is_fatal]
/// - Destroying it while somebody waits ends the program. [test: work_queue_misuse.destroying_what_is_waited_for_is_fatal]
///
/// What cancelling leaves behind: a put that ends early gives the value back, a get has taken nothing, a join has changed
/// nothing. Thread-safety: all members from any thread, but for constructor and destructor.
/// Cost: that of the channel's operations, and one short lock more for each put and task_done.
template <class T>
class work_queue {
 public:
  using value_type = T;

  /// @param capacity how many items may wait to be got: bounded(n), unbounded, or rendezvous.
  explicit work_queue(channel_capacity capacity = unbounded, const char* name = "work_queue")
      : items_{capacity, name} {}
  // [/contract]

  work_queue(const work_queue&) = delete;
  work_queue& operator=(const work_queue&) = delete;

  /// Blocks until there is room. Fails with timeout, stopped, or, after shutdown(), closed; the value comes back.
  [[nodiscard]] std::expected<void, send_error<T>> put(T value, deadline until = {}, const std::stop_token& stop = {},
                                                       std::source_location site = std::source_location::current()) {
    channels::counted item{unfinished_};
    auto sent = items_.send(std::move(value), until, stop, site);
    if (sent) item.keep();
    return sent;
  }

  /// Puts if there is room now; else fails with timeout, or closed.
  [[nodiscard]] std::expected<void, send_error<T>> try_put(T value) {
    channels::counted item{unfinished_};
    auto sent = items_.try_send(std::move(value));
    if (sent) item.keep();
    return sent;
  }

  /// For tasks: awaits what put() returns.
  [[nodiscard]] channels::put_awaiter<T> async_put(
      T value, deadline until = {}, std::stop_token stop = {},
      std::source_location site = std::source_location::current()) noexcept(std::is_nothrow_move_constructible_v<T>) {
    return {unfinished_, items_, std::move(value), until, std::move(stop), site};
  }

  /// Blocks until there is an item. Fails with timeout, stopped, or, when it is shut down and empty, closed.
  [[nodiscard]] std::expected<T, wait_error> get(deadline until = {}, const std::stop_token& stop = {},
                                                 std::source_location site = std::source_location::current()) {
    return items_.recv(until, stop, site);
  }

  /// Gets an item if there is one now; else fails with timeout, or closed.
  [[nodiscard]] std::expected<T, wait_error> try_get() { return items_.try_recv(); }

  /// For tasks: awaits what get() returns.
  [[nodiscard]] channels::recv_awaiter<T> async_get(
      deadline until = {}, std::stop_token stop = {},
      std::source_location site = std::source_location::current()) noexcept {
    return items_.async_recv(until, std::move(stop), site);
  }

  /// An item that was got has been done; to be said once for each.
  void task_done() noexcept {
    if (!unfinished_.remove()) fatal("task_done() was called more often than there were items");
  }

  /// Blocks until all items that were put have been done. Fails with timeout or stopped.
  [[nodiscard]] std::expected<void, wait_error> join(deadline until = {}, const std::stop_token& stop = {},
                                                     std::source_location site = std::source_location::current()) {
    return unfinished_.wait(until, stop, site);
  }

  /// For tasks: awaits what join() returns.
  [[nodiscard]] auto async_join(deadline until = {}, std::stop_token stop = {},
                                std::source_location site = std::source_location::current()) noexcept {
    return unfinished_.async_wait(until, std::move(stop), site);
  }

  /// Nothing can be put any more; who waits to put fails with closed, and who waits to get, once nothing is left.
  /// @param immediate whether what is inside is thrown away, and counts as done.
  void shutdown(bool immediate = false) {
    items_.close();
    if (!immediate) return;
    while (items_.try_recv()) unfinished_.remove();
  }

  [[nodiscard]] bool is_shut_down() const noexcept { return items_.closed(); }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return items_.capacity(); }
  /// How many items have been put and not been done yet.
  [[nodiscard]] std::size_t unfinished() noexcept { return unfinished_.count(); }

 private:
  channels::unfinished unfinished_;
  channel<T> items_;
};

}  // namespace heddle
