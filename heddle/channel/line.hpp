#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/base/wait_error.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/park/wait.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <source_location>
#include <stop_token>

namespace heddle {

/// How many items a channel holds: see bounded(), unbounded and rendezvous.
struct channel_capacity {
  std::size_t places = 0;
};

/// A channel that holds at most `places` items; at least 1, else the program ends.
[[nodiscard]] channel_capacity bounded(std::size_t places) noexcept;

/// A channel that holds as many items as memory does. Senders never wait, so nothing slows them down when receivers fall
/// behind: prefer bounded().
inline constexpr channel_capacity unbounded{SIZE_MAX};

/// A channel that holds nothing: a send waits until a receiver takes its item, so that both know of each other.
inline constexpr channel_capacity rendezvous{0};

/// A channel's figures at one moment.
struct channel_stats {
  std::size_t length = 0;             ///< items inside
  std::size_t capacity = 0;           ///< items that fit: 0 for a rendezvous, SIZE_MAX if unbounded
  std::size_t reserved = 0;           ///< places that are reserved
  std::size_t waiting_senders = 0;    ///< threads and tasks that wait for room
  std::size_t waiting_receivers = 0;  ///< threads and tasks that wait for an item
  std::uint64_t sent = 0;             ///< items accepted since the channel was made
  std::uint64_t received = 0;         ///< items handed out since then
};

/// What channel<T> is made of, apart from the items: the lines of those who wait, for threads and tasks.
namespace channels {

/// How one attempt to send or receive went.
enum class attempt : std::uint8_t {
  done,    ///< it is over: the item has moved, or moving it threw
  closed,  ///< it will never be possible
  wait,    ///< not now
};

/// What a failed attempt means for those who do not wait; empty: done.
[[nodiscard]] constexpr std::optional<wait_error> failure_of(attempt how) noexcept {
  switch (how) {
    case attempt::done: return {};
    case attempt::closed: return wait_error::closed;
    case attempt::wait: break;
  }
  return wait_error::timeout;
}

class line;
class both_locks;
class selection;
class wakes;

/// One send, reservation or receive that may wait. Lies in the frame of whoever waits; while it stands in a line it
/// belongs to that line's lock.
class operation {
 public:
  enum class kind : std::uint8_t { send, reserve, receive };

  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;

  /// Tries without waiting, and takes the locks that it needs. What moving an item throws is kept in error().
  [[nodiscard]] virtual attempt try_alone() noexcept = 0;

  /// The same while both locks of its channel are held.
  [[nodiscard]] virtual attempt try_held(both_locks& held, wakes& to_wake) noexcept = 0;

  [[nodiscard]] line& where() const noexcept { return where_; }
  [[nodiscard]] kind what() const noexcept { return what_; }

  /// What moving the item threw, or null.
  [[nodiscard]] const std::exception_ptr& error() const noexcept { return error_; }
  void fail(std::exception_ptr error) noexcept { error_ = std::move(error); }

 protected:
  operation(line& where, kind what) noexcept : where_{where}, what_{what} {}
  ~operation() = default;

 private:
  friend class line;
  friend class selection;
  friend class wakes;

  line& where_;
  kind what_;
  park::phase result_{};  // of the one that was claimed
  std::exception_ptr error_;
  operation* next_ = nullptr;     // in a list of wakes, between claim and publish
  park::slot* node_ = nullptr;    // stands in the line
  park::slot* waiter_ = nullptr;  // is claimed: the agent's own slot, one for all operations of a select
};

/// Those whose waits have been claimed under the lock; the destructor publishes them. Make it before the guard, so that
/// it goes after it.
class wakes {
 public:
  wakes() noexcept = default;
  ~wakes() {
    if (first_ != nullptr) publish();
  }
  wakes(const wakes&) = delete;
  wakes& operator=(const wakes&) = delete;

  void add(operation& claimed, park::phase result) noexcept;

 private:
  void publish() noexcept;
  operation* first_ = nullptr;
  operation** last_ = &first_;
};

/// The lines and the counts of a channel. Receivers wait in one line, senders in the other; the lock of the receivers'
/// line is the back lock, under which items go in, that of the senders' the front lock, under which items come out.
class line {
 public:
  line(channel_capacity capacity, const char* name) noexcept : capacity_{capacity.places}, name_{name} {}
  ~line();
  line(const line&) = delete;
  line& operator=(const line&) = delete;

  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] const char* name() const noexcept { return name_; }
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }
  /// Exact under both locks; under one of them it can only come nearer to what that side waits for.
  [[nodiscard]] std::size_t length() const noexcept {
    const std::uint64_t front = front_.load(std::memory_order_acquire);
    return static_cast<std::size_t>(back_.load(std::memory_order_acquire) - front);
  }
  [[nodiscard]] channel_stats stats() noexcept;

  [[nodiscard]] park::resource resource() const noexcept {
    return park::resource::of(resource_kind::channel, this, name_);
  }

  /// Blocks the calling thread until `op`, which has just been tried, is over. Empty: done.
  [[nodiscard]] std::optional<wait_error> run(operation& op, deadline until, const std::stop_token& stop,
                                              std::source_location site) noexcept;

  /// Closes, and ends everybody's wait.
  void close() noexcept;

  /// Whether an attempt may succeed now. Only a hint.
  [[nodiscard]] bool seems_possible(const operation& op) const noexcept;

  /// Of a rendezvous: there was a moment just now at which nobody waited to send, and it was open (L2).
  [[nodiscard]] bool met_no_sender() const noexcept { return capacity_ == 0 && senders_.seems_empty() && !closed(); }

  /// Of a rendezvous: there was a moment just now at which nobody waited to receive, and it was open (L2).
  [[nodiscard]] bool met_no_receiver() const noexcept {
    return capacity_ == 0 && receivers_.seems_empty() && !closed();
  }

  // --- for senders: under the back lock ---

  [[nodiscard]] park::queue& back_lock() noexcept { return receivers_; }

  /// Claims the first live receiver that waits, and takes it out of the line; null: nobody waits.
  [[nodiscard]] operation* claim_receiver(park::queue_guard& back) noexcept;

  /// May deny it although room has just been made, unless both locks are held.
  [[nodiscard]] bool has_room() noexcept {
    const std::uint64_t taken = back_.load(std::memory_order_relaxed) + reserved_.load(std::memory_order_relaxed);
    if (taken - front_seen_ < capacity_) return true;
    front_seen_ = front_.load(std::memory_order_acquire);  // E2
    return taken - front_seen_ < capacity_;
  }
  void added() noexcept {
    back_.store(back_.load(std::memory_order_relaxed) + 1, std::memory_order_release);  // E2
  }
  void handed_over() noexcept { ++handed_over_; }
  void reserve() noexcept { reserved_.store(reserved_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }

  // --- for receivers: under the front lock ---

  [[nodiscard]] park::queue& front_lock() noexcept { return senders_; }

  [[nodiscard]] bool nobody_seems_to_send() const noexcept { return senders_.seems_empty(); }

  [[nodiscard]] bool has_item() noexcept {
    const std::uint64_t front = front_.load(std::memory_order_relaxed);
    if (front < back_seen_) return true;
    back_seen_ = back_.load(std::memory_order_acquire);  // E2
    return front < back_seen_;
  }
  /// Whether the oldest item may be taken under the front lock alone.
  [[nodiscard]] bool may_take_alone() noexcept {
    return front_.load(std::memory_order_relaxed) + 1 != back_seen_ || may_take_last();
  }
  void removed() noexcept {
    front_.store(front_.load(std::memory_order_relaxed) + 1, std::memory_order_release);  // E2
  }

  // --- under both ---

  /// Claims the first live sender, or who waits for a place, and takes it out of the line; null: nobody waits.
  [[nodiscard]] operation* claim_sender(both_locks& held) noexcept;
  /// The same, but only one that has an item.
  [[nodiscard]] operation* claim_item(both_locks& held) noexcept;

  /// Whether no item will come any more, apart from those inside.
  [[nodiscard]] bool ended() const noexcept { return closed() && reserved_.load(std::memory_order_relaxed) == 0; }

  /// One place fewer is reserved.
  void unreserve(both_locks& held, wakes& to_wake) noexcept;

  /// Puts the operation of `waiter`, which waits, into its line with `node`.
  void stand(both_locks& held, operation& op, park::slot& node, park::slot& waiter) noexcept;

  // --- under no lock ---

  /// Takes the operation out of its line, if it stands there.
  void leave(operation& op) noexcept;

 private:
  friend class both_locks;

  [[nodiscard]] operation* claim_first(park::queue_guard& guard, bool with_item) noexcept;
  [[nodiscard]] bool may_take_last() noexcept;
  [[nodiscard]] bool spin(const operation& op) const noexcept;
  void end_receivers(both_locks& held, wakes& to_wake) noexcept;

  // Written under the back lock.
  alignas(64) park::queue receivers_;
  std::uint32_t waiting_receivers_ = 0;
  std::atomic<std::uint64_t> back_{0};  // items put in; read by anybody
  std::uint64_t front_seen_ = 0;        // what front_ was when a sender last looked
  std::atomic<std::size_t> reserved_{0};
  std::uint64_t handed_over_ = 0;    // items that went from sender to receiver without going in
  std::atomic<bool> closed_{false};  // written under both; read by anybody

  // Written under the front lock.
  alignas(64) park::queue senders_;
  std::uint32_t waiting_senders_ = 0;
  std::atomic<std::uint64_t> front_{0};  // items taken out; read by anybody
  std::uint64_t back_seen_ = 0;          // what back_ was when a receiver last looked

  // Constant.
  alignas(64) std::size_t capacity_;
  const char* name_;
};

/// Holds both locks of a channel.
class both_locks {
 public:
  explicit both_locks(line& l) noexcept : back_{l.receivers_}, front_{l.senders_} {}

  [[nodiscard]] park::queue_guard& back() noexcept { return back_; }
  [[nodiscard]] park::queue_guard& front() noexcept { return front_; }

 private:
  // The order matters: the back lock is taken first, and let go of last.
  park::queue_guard back_;
  park::queue_guard front_;
};

/// A reservation of a place.
class reserve_operation final : public operation {
 public:
  explicit reserve_operation(line& where) noexcept : operation{where, kind::reserve} {}
  [[nodiscard]] attempt try_alone() noexcept override;
  [[nodiscard]] attempt try_held(both_locks& held, wakes& to_wake) noexcept override;
};

/// A task's wait in the line.
class wait_in_line : public park::task_wait {
 protected:
  wait_in_line(operation& op, line& where, deadline until, std::stop_token stop, std::source_location site) noexcept;
  ~wait_in_line() = default;

  [[nodiscard]] bool ready() noexcept override;
  [[nodiscard]] bool enqueue() noexcept override;
  [[nodiscard]] step claimed(park::phase result) noexcept override;
  void refused(park::phase result) noexcept override;

  /// Why it did not come about; empty when it did.
  [[nodiscard]] std::optional<wait_error> failure() const noexcept { return failure_; }

 private:
  [[nodiscard]] bool over(attempt how) noexcept;

  operation& op_;
  std::optional<wait_error> failure_;
};

}  // namespace channels
}  // namespace heddle
