#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/channel/line.hpp>

#include <cstddef>
#include <exception>
#include <expected>
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

/// A place in a channel that is kept for one item. Giving it up (the destructor) lets others have it.
///
/// - A send to a reserved place never waits and never fails, also after the channel has been closed.
///   [test: reservation.a_send_to_it_never_waits, reservation.made_before_close_is_honoured]
/// - One that is given up lets a waiting sender in. [test: reservation.given_up_lets_a_waiting_sender_in]
/// - It must not outlive the channel: destroying one in which a place is reserved ends the program.
///   [test: channel_misuse.destroying_what_is_reserved_is_fatal]
///
/// May travel: whoever has it may use it, on any thread or task.
template <class T>
class [[nodiscard]] reservation {
 public:
  reservation() noexcept = default;
  reservation(reservation&& other) noexcept : in_{std::exchange(other.in_, nullptr)} {}
  reservation& operator=(reservation&& other) noexcept {
    if (this != &other) {
      give_up();
      in_ = std::exchange(other.in_, nullptr);
    }
    return *this;
  }
  ~reservation() { give_up(); }

  /// Whether a place is still reserved.
  explicit operator bool() const noexcept { return in_ != nullptr; }

  /// Sends to the place, which is used up. If moving the value throws, the place stays reserved.
  /// - Ends the program when there is no place. [test: channel_misuse.a_reservation_is_used_once]
  void send(T value);

  /// Lets others have the place.
  void give_up() noexcept;

 private:
  friend class channel<T>;
  explicit reservation(channel<T>& in) noexcept : in_{&in} {}
  channel<T>* in_ = nullptr;
};

namespace channels {

/// What waits with an item, whoever it is.
template <class T>
class sending : public operation {
 public:
  [[nodiscard]] T& value() noexcept { return value_; }

 protected:
  sending(channel<T>& to, line& where, T&& value) noexcept(std::is_nothrow_move_constructible_v<T>)
      : operation{where, kind::send}, channel_{to}, value_{std::move(value)} {}
  ~sending() = default;

  [[nodiscard]] attempt try_alone() noexcept override {
    return caught([&] { return channel_.put_alone(value_); });
  }
  [[nodiscard]] attempt try_held(both_locks& held, wakes& to_wake) noexcept override {
    return caught([&] { return channel_.put(value_, held.back(), to_wake); });
  }

  /// What the send returns, once it is over.
  [[nodiscard]] std::expected<void, send_error<T>> outcome(std::optional<wait_error> failure) {
    if (failure) return std::unexpected{send_error<T>{*failure, std::move(value_)}};
    if (error()) std::rethrow_exception(error());
    return {};
  }

 private:
  template <class Attempt>
  attempt caught(Attempt now) noexcept {
    try {
      return now();
    } catch (...) {
      fail(std::current_exception());
      return attempt::done;
    }
  }

  channel<T>& channel_;
  T value_;
};

/// What waits for an item, whoever it is.
template <class T>
class receiving : public operation {
 public:
  /// Where the item goes.
  [[nodiscard]] std::optional<T>& place() noexcept { return place_; }

 protected:
  receiving(channel<T>& from, line& where) noexcept : operation{where, kind::receive}, channel_{from} {}
  ~receiving() = default;

  [[nodiscard]] attempt try_alone() noexcept override {
    return caught([&] { return channel_.take_alone(place_); });
  }
  [[nodiscard]] attempt try_held(both_locks& held, wakes& to_wake) noexcept override {
    return caught([&] { return channel_.take(place_, held, to_wake); });
  }

  /// What the receive returns, once it is over.
  [[nodiscard]] std::expected<T, wait_error> outcome(std::optional<wait_error> failure) {
    if (failure) return std::unexpected{*failure};
    if (error()) std::rethrow_exception(error());
    return std::move(*place_);
  }

 private:
  template <class Attempt>
  attempt caught(Attempt now) noexcept {
    try {
      return now();
    } catch (...) {
      fail(std::current_exception());
      return attempt::done;
    }
  }

  channel<T>& channel_;
  std::optional<T> place_;
};

template <class T>
class send_operation final : public sending<T> {
 public:
  send_operation(channel<T>& to, line& where, T&& value) noexcept(std::is_nothrow_move_constructible_v<T>)
      : sending<T>{to, where, std::move(value)} {}
  using sending<T>::outcome;
};

template <class T>
class recv_operation final : public receiving<T> {
 public:
  recv_operation(channel<T>& from, line& where) noexcept : receiving<T>{from, where} {}
  using receiving<T>::outcome;
};

/// What channel::async_send() returns.
template <class T>
class [[nodiscard]] send_awaiter final : public wait_in_line {
 public:
  send_awaiter(channel<T>& to, line& where, T&& value, deadline until, std::stop_token stop,
               std::source_location site) noexcept(std::is_nothrow_move_constructible_v<T>)
      : wait_in_line{send_, where, until, std::move(stop), site}, send_{to, where, std::move(value)} {}

  std::expected<void, send_error<T>> await_resume() { return send_.outcome(failure()); }

 private:
  send_operation<T> send_;
};

/// What channel::async_recv() returns.
template <class T>
class [[nodiscard]] recv_awaiter final : public wait_in_line {
 public:
  recv_awaiter(channel<T>& from, line& where, deadline until, std::stop_token stop, std::source_location site) noexcept
      : wait_in_line{recv_, where, until, std::move(stop), site}, recv_{from, where} {}

  std::expected<T, wait_error> await_resume() { return recv_.outcome(failure()); }

 private:
  recv_operation<T> recv_;
};

/// What channel::async_reserve() returns.
template <class T>
class [[nodiscard]] reserve_awaiter final : public wait_in_line {
 public:
  reserve_awaiter(channel<T>& in, line& where, deadline until, std::stop_token stop, std::source_location site) noexcept
      : wait_in_line{reserve_, where, until, std::move(stop), site}, reserve_{where}, channel_{in} {}

  std::expected<reservation<T>, wait_error> await_resume() noexcept {
    if (failure()) return std::unexpected{*failure()};
    return channel_.reserved();
  }

 private:
  reserve_operation reserve_;
  channel<T>& channel_;
};

/// What channel::async_recv_many() returns: `into` says where the items go, see many_into in channel.hpp.
template <class T, class Into>
class [[nodiscard]] recv_many_awaiter final : public wait_in_line {
 public:
  recv_many_awaiter(channel<T>& from, line& where, Into into, deadline until, std::stop_token stop,
                    std::source_location site)
      : wait_in_line{recv_, where, until, std::move(stop), site}, recv_{from, where}, channel_{from}, into_{into} {
    into_.prepare(where.length());
  }

  std::expected<std::size_t, wait_error> await_resume() {
    if (taken_ > 0 || into_.room() == 0) return taken_;
    std::expected<T, wait_error> first = recv_.outcome(failure());
    if (!first) return std::unexpected{first.error()};
    into_.put(*std::move(first));
    into_.prepare_more(channel_.size());
    return 1 + channel_.take_many(into_);
  }

 private:
  [[nodiscard]] bool ready() noexcept override {
    taken_ = channel_.take_many(into_);
    return taken_ > 0 || into_.room() == 0 || wait_in_line::ready();
  }

  recv_operation<T> recv_;
  channel<T>& channel_;
  Into into_;
  std::size_t taken_ = 0;
};

}  // namespace channels
}  // namespace heddle
