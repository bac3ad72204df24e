#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/fatal.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/channel/item_store.hpp>
#include <heddle/channel/line.hpp>
#include <heddle/channel/operations.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <expected>
#include <iterator>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <vector>

namespace heddle {

namespace channels {

/// Where the items of a recv_many() go: behind those in a vector.
template <class T>
class many_into_vector {
 public:
  many_into_vector(std::vector<T>& out, std::size_t max) noexcept : out_{out}, left_{max} {}

  /// Makes room for so many items, but for one at least; outside of the lock, before an item is in hand.
  void prepare(std::size_t inside) { out_.reserve(out_.size() + std::min(left_, std::max<std::size_t>(inside, 1))); }
  /// The same when there are items already: what memory does not allow is left for later.
  void prepare_more(std::size_t inside) noexcept {
    try {
      if (room() < std::min(left_, inside)) out_.reserve(out_.size() + std::min(left_, inside));
    } catch (...) {
      return;
    }
  }
  [[nodiscard]] std::size_t room() const noexcept { return std::min(left_, out_.capacity() - out_.size()); }
  void put(T&& item) {
    out_.push_back(std::move(item));
    --left_;
  }

 private:
  std::vector<T>& out_;
  std::size_t left_;
};

/// The same over the objects of a span.
template <class T>
class many_into_span {
 public:
  explicit many_into_span(std::span<T> out) noexcept : out_{out} {}
  void prepare(std::size_t) noexcept {}
  void prepare_more(std::size_t) noexcept {}
  [[nodiscard]] std::size_t room() const noexcept { return out_.size(); }
  void put(T&& item) noexcept {
    out_.front() = std::move(item);
    out_ = out_.subspan(1);
  }

 private:
  std::span<T> out_;
};

template <class T>
class arrivals;

}  // namespace channels

// [contract]
/// A queue between any number of senders and receivers, threads and tasks alike. First in, first out.
///
/// `channel<order> c{bounded(100)}` holds up to 100 items, `{unbounded}` as many as there are, `{rendezvous}` none: there a
/// send lasts until its item has been received. A thread uses send() and recv(), which block; a task awaits async_send()
/// and async_recv(), which suspend it. All take a deadline and a stop token and fail with wait_error::timeout, stopped, or
/// closed. What can be done without waiting is done, even with a deadline that has passed or a stop that has fired.
/// select.hpp waits for one of several operations.
///
/// - No item is lost or doubled, whoever gives up meanwhile. [test: channel.a_million_items_survive_cancelled_receives]
/// - Items of one sender arrive in order. [test: channel.items_of_one_sender_arrive_in_order]
/// - A failed send gives the value back. [test: channel.a_failed_send_gives_the_value_back]
/// - A receive that ends early has taken nothing. [test: channel.a_cancelled_receive_has_taken_nothing]
/// - A rendezvous holds nothing: a send is over when its item has been received.
///   [test: rendezvous.a_send_lasts_until_its_item_is_received]
/// - Nobody waits to send to an unbounded one. [test: unbounded.a_send_never_waits]
/// - Whatever is sent before a close can be received, and whatever comes after it fails.
///   [test: channel.what_is_inside_can_be_drained_after_close, linearizable.bounded_channels]
/// - It may be destroyed as soon as the last item has been received.
///   [test: channel.may_be_destroyed_after_the_last_receive]
/// - If moving an item throws, the exception reaches the one whose operation it was (the sender's, when an item goes
///   from a waiting sender to a receiver or the other way), and nobody else notices; the item is as its move left it,
///   and has not gone through.
///   [test: channel.each_move_of_a_send_may_throw, channel.each_move_of_a_receive_may_throw,
///   channel.a_move_out_of_a_waiting_sender_that_throws_is_the_senders, rendezvous.a_move_that_throws_is_the_senders]
/// - Destroying it while somebody waits ends the program.
///   [test: channel_misuse.destroying_what_is_waited_for_is_fatal]
///
/// T is any movable object type; its move constructor and destructor run under the channel's locks and must not wait, and
/// must not use the channel. Thread-safety: all members from any thread, but for constructor and destructor.
/// Cost: one short lock for each operation, senders and receivers different ones; a wake only if somebody waits; no
/// allocation after construction, but for an unbounded one, which allocates for many items at a time.
template <class T>
class channel {
  static_assert(std::is_object_v<T> && std::move_constructible<T>, "a channel's items are movable objects");

 public:
  using value_type = T;

  /// @param capacity bounded(n), unbounded or rendezvous.
  /// @param name static text for the inspector.
  explicit channel(channel_capacity capacity, const char* name = "channel")
      : line_{capacity, name}, items_{capacity.places} {}

  /// The same as bounded(capacity).
  explicit channel(std::size_t capacity, const char* name = "channel") : channel{bounded(capacity), name} {}
  // [/contract]

  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;
  ~channel();

  /// Blocks until there is room (of a rendezvous: until it is received) and sends; fails when `until` comes, `stop` fires,
  /// or the channel is closed.
  [[nodiscard]] std::expected<void, send_error<T>> send(T value, deadline until = {}, const std::stop_token& stop = {},
                                                        std::source_location site = std::source_location::current());

  /// The same, for those who like to see it in the name.
  [[nodiscard]] std::expected<void, send_error<T>> send_until(
      T value, deadline until, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current()) {
    return send(std::move(value), until, stop, site);
  }

  /// Sends if there is room now (of a rendezvous: if a receiver waits); else fails with timeout, or closed.
  /// - Never waits. [test: channel.try_send_and_try_recv_never_wait, rendezvous.try_send_needs_a_receiver_that_waits]
  [[nodiscard]] std::expected<void, send_error<T>> try_send(T value);

  /// For tasks: awaits what send() returns. When the task itself is stopped while it waits, it unwinds, and the value
  /// goes with its frame.
  [[nodiscard]] channels::send_awaiter<T> async_send(
      T value, deadline until = {}, std::stop_token stop = {},
      std::source_location site = std::source_location::current()) noexcept(std::is_nothrow_move_constructible_v<T>);

  /// Blocks until there is room and keeps a place: for an item that is yet to be made, and must not be lost when there is
  /// no room for it.
  /// - A reserved place is not free for others. [test: reservation.keeps_others_out]
  /// - A rendezvous has no places: ends the program. [test: channel_misuse.a_rendezvous_has_no_places_to_reserve]
  [[nodiscard]] std::expected<reservation<T>, wait_error> reserve(
      deadline until = {}, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current());

  /// Keeps a place if there is room now; else fails with timeout, or closed.
  [[nodiscard]] std::expected<reservation<T>, wait_error> try_reserve();

  /// For tasks: awaits what reserve() returns.
  [[nodiscard]] channels::reserve_awaiter<T> async_reserve(
      deadline until = {}, std::stop_token stop = {},
      std::source_location site = std::source_location::current()) noexcept;

  /// Blocks until there is an item and takes it; fails when `until` comes, `stop` fires, or the channel is closed and
  /// empty.
  [[nodiscard]] std::expected<T, wait_error> recv(deadline until = {}, const std::stop_token& stop = {},
                                                  std::source_location site = std::source_location::current());

  /// The same, for those who like to see it in the name.
  [[nodiscard]] std::expected<T, wait_error> recv_until(deadline until, const std::stop_token& stop = {},
                                                        std::source_location site = std::source_location::current()) {
    return recv(until, stop, site);
  }

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

  /// The same, over the first objects of `out`; at most as many as there are.
  /// - It leaves the others as they are. [test: channel.recv_many_fills_a_span_as_far_as_it_can]
  [[nodiscard]] std::expected<std::size_t, wait_error> recv_many(
      std::span<T> out, deadline until = {}, const std::stop_token& stop = {},
      std::source_location site = std::source_location::current())
    requires std::is_nothrow_move_assignable_v<T>;

  /// For tasks: awaits what recv_many() returns. `out` must live until then.
  [[nodiscard]] channels::recv_many_awaiter<T, channels::many_into_vector<T>> async_recv_many(
      std::vector<T>& out, std::size_t max, deadline until = {}, std::stop_token stop = {},
      std::source_location site = std::source_location::current());
  [[nodiscard]] channels::recv_many_awaiter<T, channels::many_into_span<T>> async_recv_many(
      std::span<T> out, deadline until = {}, std::stop_token stop = {},
      std::source_location site = std::source_location::current())
    requires std::is_nothrow_move_assignable_v<T>;

  /// For threads: what comes, until the channel is closed and empty, `until` has come, or `stop` fires:
  /// `for (order& o : orders.items())`. Each step is a recv(); several may do so at once.
  /// - It ends when the channel is closed and drained. [test: channel.a_range_is_what_comes_until_it_is_closed]
  [[nodiscard]] channels::arrivals<T> items(deadline until = {}, std::stop_token stop = {},
                                            std::source_location site = std::source_location::current()) noexcept {
    return {*this, until, std::move(stop), site};
  }

  /// No item goes in any more, but for places that are reserved; waiting and later sends fail with wait_error::closed.
  /// What is inside can still be received; then receives fail with closed, too. Closing twice is closing.
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
  friend class channels::sending<T>;
  friend class channels::receiving<T>;
  friend class channels::reserve_awaiter<T>;
  template <class U, class Into>
  friend class channels::recv_many_awaiter;
  template <class U>
  friend class recv_case;
  template <class U>
  friend class send_case;
  friend class reservation<T>;

  [[nodiscard]] reservation<T> reserved() noexcept { return reservation<T>{*this}; }
  [[nodiscard]] channels::line& line_with_places();

  channels::attempt put_alone(T& value);
  channels::attempt put(T& value, park::queue_guard& back, channels::wakes& to_wake);
  bool hand_over(T& value, park::queue_guard& back, channels::wakes& to_wake);
  channels::attempt take_alone(std::optional<T>& into);
  channels::attempt take(std::optional<T>& into, channels::both_locks& held, channels::wakes& to_wake);
  bool meet(std::optional<T>& into, channels::both_locks& held, channels::wakes& to_wake);
  void refill(channels::both_locks& held, channels::wakes& to_wake) noexcept;
  template <class Into>
  std::size_t take_many(Into& into) noexcept;
  template <class Into>
  std::expected<std::size_t, wait_error> recv_many_into(Into into, deadline until, const std::stop_token& stop,
                                                        std::source_location site);
  void send_reserved(T& value);
  void unreserve() noexcept;
  void drop_oldest() noexcept;

  mutable channels::line line_;
  channels::item_store<T> items_;
};

namespace channels {

/// What channel::items() returns: an input range.
template <class T>
class [[nodiscard]] arrivals {
 public:
  arrivals(channel<T>& from, deadline until, std::stop_token stop, std::source_location site) noexcept
      : from_{from}, until_{until}, stop_{std::move(stop)}, site_{site} {}

  class iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    iterator() noexcept = default;
    explicit iterator(arrivals& range) : range_{&range} { ++*this; }
    [[nodiscard]] T& operator*() const noexcept { return *range_->current_; }
    iterator& operator++() {
      range_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    [[nodiscard]] bool operator==(std::default_sentinel_t) const noexcept { return !range_->current_.has_value(); }

   private:
    arrivals* range_ = nullptr;
  };

  [[nodiscard]] iterator begin() { return iterator{*this}; }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  void next() {
    current_.reset();
    if (std::expected<T, wait_error> got = from_.recv(until_, stop_, site_)) current_.emplace(*std::move(got));
  }

  channel<T>& from_;
  deadline until_;
  std::stop_token stop_;
  std::source_location site_;
  std::optional<T> current_;
};

}  // namespace channels

template <class T>
channel<T>::~channel() {
  while (line_.length() > 0) drop_oldest();
}

template <class T>
std::expected<void, send_error<T>> channel<T>::send(T value, deadline until, const std::stop_token& stop,
                                                    std::source_location site) {
  const channels::attempt how = put_alone(value);
  if (how == channels::attempt::done) return {};
  if (how == channels::attempt::closed) return std::unexpected{send_error<T>{wait_error::closed, std::move(value)}};
  channels::send_operation<T> op{*this, line_, std::move(value)};
  return op.outcome(line_.run(op, until, stop, site));
}

template <class T>
std::expected<void, send_error<T>> channel<T>::try_send(T value) {
  const channels::attempt how = put_alone(value);
  if (how == channels::attempt::done) return {};
  return std::unexpected{send_error<T>{*channels::failure_of(how), std::move(value)}};
}

template <class T>
channels::send_awaiter<T> channel<T>::async_send(
    T value, deadline until, std::stop_token stop,
    std::source_location site) noexcept(std::is_nothrow_move_constructible_v<T>) {
  return {*this, line_, std::move(value), until, std::move(stop), site};
}

template <class T>
channels::line& channel<T>::line_with_places() {
  if (line_.capacity() == 0) fatal("a rendezvous has no places to reserve");
  return line_;
}

template <class T>
std::expected<reservation<T>, wait_error> channel<T>::reserve(deadline until, const std::stop_token& stop,
                                                              std::source_location site) {
  channels::reserve_operation op{line_with_places()};
  channels::attempt how = op.try_alone();
  const auto failure = how == channels::attempt::wait ? line_.run(op, until, stop, site) : channels::failure_of(how);
  if (failure) return std::unexpected{*failure};
  return reserved();
}

template <class T>
std::expected<reservation<T>, wait_error> channel<T>::try_reserve() {
  channels::reserve_operation op{line_with_places()};
  if (const auto failure = channels::failure_of(op.try_alone())) return std::unexpected{*failure};
  return reserved();
}

template <class T>
channels::reserve_awaiter<T> channel<T>::async_reserve(deadline until, std::stop_token stop,
                                                       std::source_location site) noexcept {
  return {*this, line_with_places(), until, std::move(stop), site};
}

template <class T>
std::expected<T, wait_error> channel<T>::recv(deadline until, const std::stop_token& stop, std::source_location site) {
  std::optional<T> taken;
  const channels::attempt how = take_alone(taken);
  if (how == channels::attempt::done) return std::move(*taken);
  if (how == channels::attempt::closed) return std::unexpected{wait_error::closed};
  channels::recv_operation<T> op{*this, line_};
  return op.outcome(line_.run(op, until, stop, site));
}

template <class T>
std::expected<T, wait_error> channel<T>::try_recv() {
  std::optional<T> taken;
  const channels::attempt how = take_alone(taken);
  if (how == channels::attempt::done) return std::move(*taken);
  return std::unexpected{*channels::failure_of(how)};
}

template <class T>
channels::recv_awaiter<T> channel<T>::async_recv(deadline until, std::stop_token stop,
                                                 std::source_location site) noexcept {
  return {*this, line_, until, std::move(stop), site};
}

template <class T>
std::expected<std::size_t, wait_error> channel<T>::recv_many(std::vector<T>& out, std::size_t max, deadline until,
                                                             const std::stop_token& stop, std::source_location site) {
  return recv_many_into(channels::many_into_vector<T>{out, max}, until, stop, site);
}

template <class T>
std::expected<std::size_t, wait_error> channel<T>::recv_many(std::span<T> out, deadline until,
                                                             const std::stop_token& stop, std::source_location site)
  requires std::is_nothrow_move_assignable_v<T>
{
  return recv_many_into(channels::many_into_span<T>{out}, until, stop, site);
}

template <class T>
template <class Into>
std::expected<std::size_t, wait_error> channel<T>::recv_many_into(Into into, deadline until,
                                                                  const std::stop_token& stop,
                                                                  std::source_location site) {
  into.prepare(size());
  if (const std::size_t taken = take_many(into); taken > 0 || into.room() == 0) return taken;
  std::expected<T, wait_error> first = recv(until, stop, site);
  if (!first) return std::unexpected{first.error()};
  into.put(*std::move(first));
  into.prepare_more(size());
  return 1 + take_many(into);
}

template <class T>
channels::recv_many_awaiter<T, channels::many_into_vector<T>> channel<T>::async_recv_many(
    std::vector<T>& out, std::size_t max, deadline until, std::stop_token stop, std::source_location site) {
  return {*this, line_, channels::many_into_vector<T>{out, max}, until, std::move(stop), site};
}

template <class T>
channels::recv_many_awaiter<T, channels::many_into_span<T>> channel<T>::async_recv_many(std::span<T> out,
                                                                                        deadline until,
                                                                                        std::stop_token stop,
                                                                                        std::source_location site)
  requires std::is_nothrow_move_assignable_v<T>
{
  return {*this, line_, channels::many_into_span<T>{out}, until, std::move(stop), site};
}

template <class T>
void reservation<T>::send(T value) {
  if (in_ == nullptr) fatal("a reservation was used that has no place any more");
  in_->send_reserved(value);
  in_ = nullptr;
}

template <class T>
void reservation<T>::give_up() noexcept {
  if (in_ != nullptr) std::exchange(in_, nullptr)->unreserve();
}

// --- the items; the invariants are in line.cpp ---

template <class T>
channels::attempt channel<T>::put_alone(T& value) {
  if (line_.met_no_receiver()) return channels::attempt::wait;
  channels::wakes to_wake;
  park::queue_guard back{line_.back_lock()};
  return put(value, back, to_wake);
}

template <class T>
channels::attempt channel<T>::put(T& value, park::queue_guard& back, channels::wakes& to_wake) {
  if (line_.closed()) return channels::attempt::closed;  // L1
  if (!back.empty() && hand_over(value, back, to_wake)) return channels::attempt::done;
  if (!line_.has_room()) return channels::attempt::wait;
  items_.push(std::move(value));
  line_.added();
  return channels::attempt::done;
}

template <class T>
bool channel<T>::hand_over(T& value, park::queue_guard& back, channels::wakes& to_wake) {
  if (line_.length() != 0) return false;  // I1
  channels::operation* const waiting = line_.claim_receiver(back);
  if (waiting == nullptr) return false;
  try {
    static_cast<channels::receiving<T>*>(waiting)->place().emplace(std::move(value));
  } catch (...) {
    to_wake.add(*waiting, park::phase::woken);  // I3
    throw;
  }
  line_.handed_over();
  to_wake.add(*waiting, park::phase::granted);
  return true;
}

template <class T>
channels::attempt channel<T>::take_alone(std::optional<T>& into) {
  if (line_.met_no_sender()) return channels::attempt::wait;
  if (line_.capacity() != 0 && line_.nobody_seems_to_send()) {
    const park::queue_guard front{line_.front_lock()};
    if (front.empty()) {  // I5
      if (!line_.has_item()) {
        if (!line_.closed()) return channels::attempt::wait;  // L2
      } else if (line_.may_take_alone()) {
        into.emplace(std::move(items_.front()));
        drop_oldest();
        return channels::attempt::done;
      }
    }
  }
  channels::wakes to_wake;
  channels::both_locks held{line_};
  return take(into, held, to_wake);
}

template <class T>
channels::attempt channel<T>::take(std::optional<T>& into, channels::both_locks& held, channels::wakes& to_wake) {
  if (line_.length() == 0) {
    if (meet(into, held, to_wake)) return channels::attempt::done;
    return line_.ended() ? channels::attempt::closed : channels::attempt::wait;
  }
  into.emplace(std::move(items_.front()));
  drop_oldest();
  refill(held, to_wake);
  return channels::attempt::done;
}

template <class T>
bool channel<T>::meet(std::optional<T>& into, channels::both_locks& held, channels::wakes& to_wake) {
  while (channels::operation* const waiting = line_.claim_item(held)) {
    to_wake.add(*waiting, park::phase::granted);
    try {
      into.emplace(std::move(static_cast<channels::sending<T>*>(waiting)->value()));
      line_.handed_over();
      return true;
    } catch (...) {
      waiting->fail(std::current_exception());  // I3
    }
  }
  return false;
}

template <class T>
void channel<T>::refill(channels::both_locks& held, channels::wakes& to_wake) noexcept {
  while (line_.has_room()) {
    channels::operation* const waiting = line_.claim_sender(held);
    if (waiting == nullptr) return;
    to_wake.add(*waiting, park::phase::granted);
    if (waiting->what() == channels::operation::kind::reserve) {
      line_.reserve();
      continue;
    }
    try {
      items_.push(std::move(static_cast<channels::sending<T>*>(waiting)->value()));
      line_.added();
    } catch (...) {
      waiting->fail(std::current_exception());  // I3
    }
  }
}

template <class T>
template <class Into>
std::size_t channel<T>::take_many(Into& into) noexcept {
  if (into.room() == 0 || line_.length() == 0) return 0;
  channels::wakes to_wake;
  channels::both_locks held{line_};
  std::size_t taken = 0;
  for (; into.room() > 0 && line_.length() > 0; ++taken) {
    try {
      into.put(std::move(items_.front()));
    } catch (...) {
      break;  // it stays inside, and throws again for whoever takes it next
    }
    drop_oldest();
  }
  refill(held, to_wake);
  return taken;
}

template <class T>
void channel<T>::send_reserved(T& value) {
  channels::wakes to_wake;
  channels::both_locks held{line_};
  if (held.back().empty() || !hand_over(value, held.back(), to_wake)) {
    items_.push(std::move(value));  // I6
    line_.added();
    line_.unreserve(held, to_wake);
    return;
  }
  line_.unreserve(held, to_wake);
  refill(held, to_wake);
}

template <class T>
void channel<T>::unreserve() noexcept {
  channels::wakes to_wake;
  channels::both_locks held{line_};
  line_.unreserve(held, to_wake);
  refill(held, to_wake);
}

template <class T>
void channel<T>::drop_oldest() noexcept {
  items_.pop();
  line_.removed();
}

}  // namespace heddle
