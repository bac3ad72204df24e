#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/channel/channel.hpp>
#include <heddle/channel/line.hpp>
#include <heddle/park/wait.hpp>

#include <cstddef>
#include <expected>
#include <functional>
#include <initializer_list>
#include <optional>
#include <source_location>
#include <span>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace heddle {

/// One way that a select can go: a recv_case or a send_case. It may be used again and again, by one select at a time, and
/// must outlive the select.
class select_case {
 public:
  select_case(const select_case&) = delete;
  select_case& operator=(const select_case&) = delete;

  /// Whether the last select went this way.
  [[nodiscard]] bool happened() const noexcept { return happened_; }

 protected:
  explicit select_case(channels::operation& op) noexcept : op_{op} {}
  ~select_case() = default;

  /// Why it happened in vain, or did not.
  [[nodiscard]] std::optional<wait_error> failure() const noexcept {
    return happened_ ? failure_ : std::optional{wait_error::timeout};
  }

 private:
  friend class channels::selection;

  channels::operation& op_;
  std::size_t place_ = 0;                       // in the call
  select_case* next_ = nullptr;                 // by the order of the channels
  std::optional<channels::both_locks> locked_;  // by the first case of each channel, while all are
  bool happened_ = false;
  std::optional<wait_error> failure_;
};

using select_ref = std::reference_wrapper<select_case>;

/// Receives from a channel, if the select goes this way.
template <class T>
class recv_case final : private channels::receiving<T>, public select_case {
 public:
  explicit recv_case(channel<T>& from) noexcept
      : channels::receiving<T>{from, from.line_}, select_case{static_cast<channels::operation&>(*this)} {}

  /// What a recv() would return, to be asked once after each select that went this way: the item, or that the channel is
  /// closed and empty. What moving the item threw is thrown.
  [[nodiscard]] std::expected<T, wait_error> result() { return this->outcome(this->failure()); }
};

/// Sends to a channel, if the select goes this way; otherwise it keeps the value.
template <class T>
class send_case final : private channels::sending<T>, public select_case {
 public:
  send_case(channel<T>& to, std::type_identity_t<T> value) noexcept(std::is_nothrow_move_constructible_v<T>)
      : channels::sending<T>{to, to.line_, std::move(value)}, select_case{static_cast<channels::operation&>(*this)} {}

  /// The value, for as long as it has not been sent; after that it is a moved-from one, to which the next may be assigned.
  using channels::sending<T>::value;

  /// What a send() would return, to be asked once after each select that went this way: that it was sent, or that the
  /// channel is closed, with the value. What moving it threw is thrown.
  [[nodiscard]] std::expected<void, send_error<T>> result() { return this->outcome(this->failure()); }
};

namespace channels {

/// The cases of one select, in the order of their channels. For select() and the like.
class selection {
 public:
  explicit selection(std::span<const select_ref> cases) noexcept;
  selection(const selection&) = delete;
  selection& operator=(const selection&) = delete;
  ~selection();

  [[nodiscard]] park::resource resource() const noexcept;

  /// Tries the cases one by one, beginning anywhere among those that seem possible. True: one has happened.
  bool try_each() noexcept;
  /// Tries all at one moment.
  bool try_all() noexcept;
  /// The same; if none is possible `waiter` stands in all lines. True: it waits.
  bool enter(park::slot& waiter) noexcept;
  /// Takes it out of all lines. True: one case has happened by `result`.
  bool leave(park::phase result) noexcept;
  /// Looks for a while; true: try_each() is worth a try.
  [[nodiscard]] bool spin() const noexcept;

  /// Which one has happened.
  [[nodiscard]] std::size_t chosen() const noexcept { return chosen_; }

 private:
  [[nodiscard]] select_case* any_that_seems_possible() const noexcept;
  template <class Try>
  bool try_from(select_case* first, Try attempt_of) noexcept;
  bool try_locked(wakes& to_wake) noexcept;
  void lock() noexcept;
  void unlock() noexcept;
  void settle(select_case& c, attempt how) noexcept;

  select_case* first_ = nullptr;
  std::size_t chosen_ = 0;
};

/// What async_select() returns.
class [[nodiscard]] select_awaiter final : public park::task_wait {
 public:
  select_awaiter(std::span<const select_ref> cases, deadline until, std::stop_token stop,
                 std::source_location site) noexcept;

  std::expected<std::size_t, wait_error> await_resume() noexcept {
    if (error_) return std::unexpected{*error_};
    return cases_.chosen();
  }

 private:
  [[nodiscard]] bool ready() noexcept override;
  [[nodiscard]] bool enqueue() noexcept override;
  [[nodiscard]] step claimed(park::phase result) noexcept override;
  void refused(park::phase result) noexcept override;

  selection cases_;
  std::optional<wait_error> error_;
};

}  // namespace channels

// [contract]
/// Waits until one of several sends and receives can happen, and does it. For threads.
///
///     recv_case<order> next{orders};
///     send_case<report> tell{reports, made};
///     switch (select({next, tell}, until, stop).value_or(2)) { ... }
///
/// @param cases on any channels, several may be on the same one; a channel may be of any capacity. Without any, it waits
///   for `until` and `stop` alone.
/// @return which one happened, by its place among the cases; wait_error::timeout or stopped if none did. A case whose
///   channel is closed (and empty, to receive) can happen: its result() says so.
///
/// - Exactly one happens. [test: select.exactly_one_happens, linearizable.selects]
/// - The others have neither received nor sent: a send_case keeps its value.
///   [test: select.what_loses_has_neither_consumed_nor_dropped]
/// - Among those that can happen each is as likely as the others. [test: select.is_fair_among_the_ready]
/// - What can happen without waiting does, even with a deadline that has passed or a stop that has fired.
///   [test: select.what_is_ready_happens_even_late]
/// - A channel may occur twice, to receive, to send or both; a select never meets itself.
///   [test: select.the_same_channel_may_occur_twice, select.does_not_meet_itself]
/// - Selects may meet at both ends. [test: select.meets_another_select]
/// - What moving an item throws comes out of result(). [test: select.what_a_move_throws_comes_out_of_the_result]
///
/// Thread-safety: any thread; each case belongs to one select at a time.
/// Cost: what the chosen operation costs, if one is ready, and a look at the others; else the locks of all channels, and a
/// node of the slot table for each further case. No allocation.
std::expected<std::size_t, wait_error> select(std::span<const select_ref> cases, deadline until = {},
                                              const std::stop_token& stop = {},
                                              std::source_location site = std::source_location::current()) noexcept;
inline std::expected<std::size_t, wait_error> select(
    std::initializer_list<select_ref> cases, deadline until = {}, const std::stop_token& stop = {},
    std::source_location site = std::source_location::current()) noexcept {
  return select(std::span{cases.begin(), cases.size()}, until, stop, site);
}

/// Does one that can happen now, else nothing: there was a moment at which none could.
/// - Never waits. [test: select.try_select_never_waits]
std::optional<std::size_t> try_select(std::span<const select_ref> cases) noexcept;
inline std::optional<std::size_t> try_select(std::initializer_list<select_ref> cases) noexcept {
  return try_select(std::span{cases.begin(), cases.size()});
}

/// For tasks: awaits what select() returns. A task that is stopped while it waits unwinds, and none has happened.
/// - Tasks and threads meet. [test: select.tasks_and_threads_meet]
/// - A stopped task has done nothing. [test: select.a_stopped_task_has_done_nothing]
inline channels::select_awaiter async_select(std::span<const select_ref> cases, deadline until = {},
                                             std::stop_token stop = {},
                                             std::source_location site = std::source_location::current()) noexcept {
  return {cases, until, std::move(stop), site};
}
inline channels::select_awaiter async_select(std::initializer_list<select_ref> cases, deadline until = {},
                                             std::stop_token stop = {},
                                             std::source_location site = std::source_location::current()) noexcept {
  return {std::span{cases.begin(), cases.size()}, until, std::move(stop), site};
}
// [/contract]

}  // namespace heddle
