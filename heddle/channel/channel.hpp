#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/channel/line.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <source_location>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <vector>

namespace heddle {

/// A send that failed: why, and the value, as it was.
template <class T>
struct send_error {
  wait_error why;
  T value;
};

template <class T>
class channel;

namespace channels {

template <class T>
class send_operation;
template <class T>
class recv_operation;
template <class T>
class send_awaiter;
template <class T>
class recv_awaiter;
template <class T>
class recv_many_awaiter;

}  // namespace channels

/// A bounded queue between any number of senders and receivers, threads and tasks alike. First in, first out.
///
/// A thread uses send() and recv(), which block; a task awaits async_send() and async_recv(), which suspend it. All take
/// a deadline and a stop token and fail with wait_error::timeout, stopped, or closed. What can be done without waiting
/// is done, even with a deadline that has passed or a stop that has fired.
///
/// - No item is lost or doubled, whoever gives up meanwhile. [test: channel.a_million_items_survive_cancelled_receives]
/// - Items of one sender arrive in order. [test: channel.items_of_one_sender_arrive_in_order]
/// - A failed send gives the value back. [test: channel.a_failed_send_gives_the_value_back]
/// - A receive that ends early has taken nothing. [test: channel.a_cancelled_receive_has_taken_nothing]
/// - It may be destroyed as soon as the last item has been received.
///   [test: channel.may_be_destroyed_after_the_last_receive]
/// - If moving an item throws, the exception reaches the one whose operation it was, and nobody else notices; the item
///   is as its move left it, and has not gone through.
///   [test: channel.each_move_of_a_send_may_throw, channel.each_move_of_a_receive_may_throw,
///   channel.a_move_out_of_a_waiting_sender_that_throws_is_the_senders]
/// - Destroying it while somebody waits ends the program.
///   [test: channel_misuse.destroying_what_is_waited_for_is_fatal]
///
/// T is any movable object type; its move constructor and destructor run under the channel's lock and must not wait, and
/// must not use the channel. Thread-safety: all members from any thread, but for constructor and destructor.
/// Cost: one short lock for each operation, a wake only if somebody waits, no allocation after construction.
template <class T>
class channel {
  static_assert(std::is_object_v<T> && std::move_constructible<T>, "a channel's items are movable objects");

 public:
  using value_type = T;

  /// @param capacity how many items it holds; at least 1, else the program ends.
  /// @param name static text for the inspector.
  explicit channel(std::size_t capacity, const char* name = "channel")
      : line_{capacity, name}, items_{std::allocator<T>{}.allocate(capacity)} {}
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;
  ~channel();

  /// Blocks until there is room and sends; fails when `until` comes, `stop` fires, or the channel is closed.
  [[nodiscard]] std::expected<void, send_error<T>> send(T value, deadline until = {}, const std::stop_token& stop = {},
                                                        std::source_location site = std::source_location::current());

  /// Sends if there is room now; else fails with timeout, or closed.
  /// - Never waits. [test: channel.try_send_and_try_recv_never_wait]
  [[nodiscard]] std::expected<void, send_error<T>> try_send(T value);

  /// For tasks: awaits what send() returns. When the task itself is stopped while it waits, it unwinds, and the value
  /// goes with its frame.
  [[nodiscard]] channels::send_awaiter<T> async_send(
      T value, deadline until = {}, std::stop_token stop = {},
      std::source_location site = std::source_location::current()) noexcept(std::is_nothrow_move_constructible_v<T>);

  /// Blocks until there is an item and takes it; fails when `until` comes, `stop` fires, or the channel is closed and
  /// empty.
  [[nodiscard]] std::expected<T, wait_error> recv(deadline until = {}, const std::stop_token& stop = {},
                                                  std::source_location site = std::source_location::current());

  /// Takes an item if there is one now; else fails with timeout, or closed.
  [[nodiscard]] std::expected<T, wait_error> try_recv();

  /// For tasks: awaits what recv() returns.
  [[nodiscard]] channels::recv_awaiter<T> async_recv(
      deadline until = {}, std::stop_token stop = {},
      std::source_location site = std::source_location::current()) noexcept;

  /// Blocks until there is an item, then takes as many as are there, at most `max`, appended to `out`.
  /// @return how many were taken: at least 1, unless `max` is 0.
  /// - It takes what is there and waits for no more. [test: channel.recv_many_takes_what_is_there]
  [[nodiscard]] std::expected<std::size_t, wait_error> recv_many(
      std::vector<T>& out, std::size_t max, deadline until = {}, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current());

  /// For tasks: awaits what recv_many() returns. `out` must live until then.
  [[nodiscard]] channels::recv_many_awaiter<T> async_recv_many(
      std::vector<T>& out, std::size_t max, deadline until = {}, std::stop_token stop = {},
      std::source_location site = std::source_location::current());

  /// No item goes in any more; waiting and later sends fail with wait_error::closed. What is inside can still be
  /// received; then receives fail with closed, too. Closing twice is closing.
  /// - Closing wakes both sides. [test: channel.close_wakes_both_sides]
  /// - What is inside can be drained. [test: channel.what_is_inside_can_be_drained_after_close]
  void close() noexcept { line_.close(); }

  [[nodiscard]] bool closed() const noexcept { return line_.closed(); }
  [[nodiscard]] std::size_t size() const noexcept { return line_.length(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return line_.capacity(); }
  [[nodiscard]] const char* name() const noexcept { return line_.name(); }

  /// - They count items and who waits. [test: channel.stats_count_items_and_who_waits]
  [[nodiscard]] channel_stats stats() const noexcept { return line_.stats(); }

 private:
  friend class channels::send_operation<T>;
  friend class channels::recv_operation<T>;
  friend class channels::recv_many_awaiter<T>;

  channels::attempt put(T& value, park::queue_guard& guard, channels::wakes& to_wake);
  channels::attempt take(std::optional<T>& into, park::queue_guard& guard, channels::wakes& to_wake);
  void refill(park::queue_guard& guard, channels::wakes& to_wake) noexcept;
  std::size_t take_more(std::vector<T>& out, std::size_t max);
  void drop_oldest() noexcept;

  mutable channels::line line_;
  T* items_;  // room for capacity() items; those inside are alive, under the line's lock
};

namespace channels {

/// A send: the value stays with the sender until there is room.
template <class T>
class send_operation final : public operation {
 public:
  send_operation(channel<T>& to, T&& value) noexcept(std::is_nothrow_move_constructible_v<T>)
      : operation{false}, channel_{to}, value_{std::move(value)} {}

  [[nodiscard]] attempt try_now(park::queue_guard& guard, wakes& to_wake) noexcept override {
    try {
      return channel_.put(value_, guard, to_wake);
    } catch (...) {
      fail(std::current_exception());
      return attempt::done;
    }
  }

  [[nodiscard]] T& value() noexcept { return value_; }

  /// What the send returns, once it is over.
  [[nodiscard]] std::expected<void, send_error<T>> result(std::optional<wait_error> failure) {
    if (failure) return std::unexpected{send_error<T>{*failure, std::move(value_)}};
    if (error()) std::rethrow_exception(error());
    return {};
  }

 private:
  channel<T>& channel_;
  T value_;
};

/// A receive of one item.
template <class T>
class recv_operation final : public operation {
 public:
  explicit recv_operation(channel<T>& from) noexcept : operation{true}, channel_{from} {}

  [[nodiscard]] attempt try_now(park::queue_guard& guard, wakes& to_wake) noexcept override {
    try {
      return channel_.take(place_, guard, to_wake);
    } catch (...) {
      fail(std::current_exception());
      return attempt::done;
    }
  }

  /// Where the item goes.
  [[nodiscard]] std::optional<T>& place() noexcept { return place_; }

  /// What the receive returns, once it is over.
  [[nodiscard]] std::expected<T, wait_error> result(std::optional<wait_error> failure) {
    if (failure) return std::unexpected{*failure};
    if (error()) std::rethrow_exception(error());
    return std::move(*place_);
  }

 private:
  channel<T>& channel_;
  std::optional<T> place_;
};

/// What channel::async_send() returns.
template <class T>
class [[nodiscard]] send_awaiter final : public wait_in_line {
 public:
  send_awaiter(channel<T>& to, line& where, T&& value, deadline until, std::stop_token stop,
               std::source_location site) noexcept(std::is_nothrow_move_constructible_v<T>)
      : wait_in_line{where, send_, until, std::move(stop), site}, send_{to, std::move(value)} {}

  std::expected<void, send_error<T>> await_resume() { return send_.result(failure()); }

 private:
  send_operation<T> send_;
};

/// What channel::async_recv() returns.
template <class T>
class [[nodiscard]] recv_awaiter final : public wait_in_line {
 public:
  recv_awaiter(channel<T>& from, line& where, deadline until, std::stop_token stop, std::source_location site) noexcept
      : wait_in_line{where, recv_, until, std::move(stop), site}, recv_{from} {}

  std::expected<T, wait_error> await_resume() { return recv_.result(failure()); }

 private:
  recv_operation<T> recv_;
};

/// What channel::async_recv_many() returns.
template <class T>
class [[nodiscard]] recv_many_awaiter final : public wait_in_line {
 public:
  recv_many_awaiter(channel<T>& from, line& where, std::vector<T>& out, std::size_t max, deadline until,
                    std::stop_token stop, std::source_location site)
      : wait_in_line{where, recv_, until, std::move(stop), site}, recv_{from}, channel_{from}, out_{out}, max_{max} {
    out_.reserve(out_.size() + std::min(max, from.capacity()));
  }

  std::expected<std::size_t, wait_error> await_resume() {
    if (max_ == 0) return 0;
    std::expected<T, wait_error> first = recv_.result(failure());
    if (!first) return std::unexpected{first.error()};
    out_.push_back(*std::move(first));
    return 1 + channel_.take_more(out_, max_ - 1);
  }

 private:
  [[nodiscard]] bool ready() noexcept override { return max_ == 0 || wait_in_line::ready(); }

  recv_operation<T> recv_;
  channel<T>& channel_;
  std::vector<T>& out_;
  std::size_t max_;
};

}  // namespace channels

template <class T>
channel<T>::~channel() {
  while (line_.length() > 0) drop_oldest();
  std::allocator<T>{}.deallocate(items_, line_.capacity());
}

template <class T>
std::expected<void, send_error<T>> channel<T>::send(T value, deadline until, const std::stop_token& stop,
                                                    std::source_location site) {
  channels::send_operation<T> op{*this, std::move(value)};
  return op.result(line_.run(op, until, stop, site));
}

template <class T>
std::expected<void, send_error<T>> channel<T>::try_send(T value) {
  channels::send_operation<T> op{*this, std::move(value)};
  return op.result(channels::failure_of(line_.try_once(op)));
}

template <class T>
channels::send_awaiter<T> channel<T>::async_send(
    T value, deadline until, std::stop_token stop,
    std::source_location site) noexcept(std::is_nothrow_move_constructible_v<T>) {
  return {*this, line_, std::move(value), until, std::move(stop), site};
}

template <class T>
std::expected<T, wait_error> channel<T>::recv(deadline until, const std::stop_token& stop, std::source_location site) {
  channels::recv_operation<T> op{*this};
  return op.result(line_.run(op, until, stop, site));
}

template <class T>
std::expected<T, wait_error> channel<T>::try_recv() {
  channels::recv_operation<T> op{*this};
  return op.result(channels::failure_of(line_.try_once(op)));
}

template <class T>
channels::recv_awaiter<T> channel<T>::async_recv(deadline until, std::stop_token stop,
                                                 std::source_location site) noexcept {
  return {*this, line_, until, std::move(stop), site};
}

template <class T>
std::expected<std::size_t, wait_error> channel<T>::recv_many(std::vector<T>& out, std::size_t max, deadline until,
                                                             const std::stop_token& stop, std::source_location site) {
  if (max == 0) return 0;
  out.reserve(out.size() + std::min(max, capacity()));  // before an item is in hand, and outside of the lock
  std::expected<T, wait_error> first = recv(until, stop, site);
  if (!first) return std::unexpected{first.error()};
  out.push_back(*std::move(first));
  return 1 + take_more(out, max - 1);
}

template <class T>
channels::recv_many_awaiter<T> channel<T>::async_recv_many(std::vector<T>& out, std::size_t max, deadline until,
                                                           std::stop_token stop, std::source_location site) {
  return {*this, line_, out, max, until, std::move(stop), site};
}

// --- under the line's lock; the invariants are in line.cpp ---

template <class T>
channels::attempt channel<T>::put(T& value, park::queue_guard& guard, channels::wakes& to_wake) {
  if (line_.closed()) return channels::attempt::closed;
  if (line_.length() == 0) {
    if (channels::operation* waiting = line_.claim_first(guard); waiting != nullptr) {
      try {
        static_cast<channels::recv_operation<T>*>(waiting)->place().emplace(std::move(value));
      } catch (...) {
        to_wake.add(*waiting, park::phase::woken);
        throw;
      }
      line_.handed_over();
      to_wake.add(*waiting, park::phase::granted);
      return channels::attempt::done;
    }
  }
  if (line_.length() == line_.capacity()) return channels::attempt::wait;
  std::construct_at(items_ + line_.next_free(), std::move(value));
  line_.added();
  return channels::attempt::done;
}

template <class T>
channels::attempt channel<T>::take(std::optional<T>& into, park::queue_guard& guard, channels::wakes& to_wake) {
  if (line_.length() == 0) return line_.closed() ? channels::attempt::closed : channels::attempt::wait;
  into.emplace(std::move(items_[line_.oldest()]));
  drop_oldest();
  refill(guard, to_wake);
  return channels::attempt::done;
}

template <class T>
void channel<T>::refill(park::queue_guard& guard, channels::wakes& to_wake) noexcept {
  while (line_.length() < line_.capacity()) {
    channels::operation* waiting = line_.claim_first(guard);
    if (waiting == nullptr) return;
    try {
      std::construct_at(items_ + line_.next_free(),
                        std::move(static_cast<channels::send_operation<T>*>(waiting)->value()));
      line_.added();
    } catch (...) {
      waiting->fail(std::current_exception());
    }
    to_wake.add(*waiting, park::phase::granted);
  }
}

template <class T>
std::size_t channel<T>::take_more(std::vector<T>& out, std::size_t max) {
  channels::wakes to_wake;
  park::queue_guard guard{line_.queue()};
  std::size_t taken = 0;
  for (; taken < max && taken < line_.capacity() - 1 && line_.length() > 0; ++taken) {
    try {
      out.push_back(std::move(items_[line_.oldest()]));
    } catch (...) {
      break;  // it stays inside, and throws again for whoever takes it next
    }
    drop_oldest();
  }
  if (taken > 0) refill(guard, to_wake);  // else receivers may wait, and no sender does
  return taken;
}

template <class T>
void channel<T>::drop_oldest() noexcept {
  std::destroy_at(items_ + line_.oldest());
  line_.removed();
}

}  // namespace heddle
