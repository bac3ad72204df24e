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

/// A channel's figures at one moment.
struct channel_stats {
  std::size_t length = 0;             ///< items inside
  std::size_t capacity = 0;           ///< items that fit
  std::size_t waiting_senders = 0;    ///< threads and tasks that wait for room
  std::size_t waiting_receivers = 0;  ///< threads and tasks that wait for an item
  std::uint64_t sent = 0;             ///< items accepted since the channel was made
  std::uint64_t received = 0;         ///< items handed out since then
};

/// What channel<T> is made of, apart from the items: the line of those who wait, for threads and tasks.
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
class wakes;

/// One send or receive that may wait. Lies in the frame of whoever waits; while it stands in the line it belongs to
/// the line's lock.
class operation {
 public:
  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;

  /// Tries, under the line's lock, without waiting. What moving an item throws is kept in error().
  [[nodiscard]] virtual attempt try_now(park::queue_guard& guard, wakes& to_wake) noexcept = 0;

  [[nodiscard]] bool receives() const noexcept { return receives_; }

  /// What moving the item threw, or null.
  [[nodiscard]] const std::exception_ptr& error() const noexcept { return error_; }
  void fail(std::exception_ptr error) noexcept { error_ = std::move(error); }

 protected:
  explicit operation(bool receives) noexcept : receives_{receives} {}
  ~operation() = default;

 private:
  friend class wakes;
  friend class line;

  bool receives_;
  std::exception_ptr error_;
  operation* next_ = nullptr;  // in a list of wakes, between claim and publish
  park::slot* node_ = nullptr;
  park::phase result_{};
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
  friend class line;
  void publish() noexcept;
  operation* first_ = nullptr;
  operation** last_ = &first_;
};

/// The line and the count of a channel. Either senders wait and the channel is full, or receivers wait and it is
/// empty, or nobody waits: so one queue holds both.
class line {
 public:
  line(std::size_t capacity, const char* name) noexcept;
  ~line();
  line(const line&) = delete;
  line& operator=(const line&) = delete;

  [[nodiscard]] park::queue& queue() noexcept { return queue_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] const char* name() const noexcept { return name_; }
  [[nodiscard]] std::size_t length() const noexcept { return length_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }
  [[nodiscard]] channel_stats stats() noexcept;

  /// Tries once.
  [[nodiscard]] attempt try_once(operation& op) noexcept;

  /// Tries, and blocks the calling thread until it is over. Empty: done.
  [[nodiscard]] std::optional<wait_error> run(operation& op, deadline until, const std::stop_token& stop,
                                              std::source_location site) noexcept;

  /// Closes, and ends everybody's wait.
  void close() noexcept;

  // Under the lock of queue():

  /// Claims the first live operation that waits, and takes it out of the line; null: nobody waits.
  [[nodiscard]] operation* claim_first(park::queue_guard& guard) noexcept;

  /// Where the oldest item is, and where the next one goes.
  [[nodiscard]] std::size_t oldest() const noexcept { return head_; }
  [[nodiscard]] std::size_t next_free() const noexcept {
    const std::size_t at = head_ + length();
    return at < capacity_ ? at : at - capacity_;
  }
  void added() noexcept {
    length_.store(length() + 1, std::memory_order_relaxed);
    ++sent_;
  }
  void removed() noexcept {
    head_ = head_ + 1 == capacity_ ? 0 : head_ + 1;
    length_.store(length() - 1, std::memory_order_relaxed);
    ++received_;
  }
  void handed_over() noexcept {
    ++sent_;
    ++received_;
  }

 private:
  friend class wait_in_line;

  [[nodiscard]] park::resource resource() const noexcept {
    return park::resource::of(resource_kind::channel, this, name_);
  }
  void stand(park::queue_guard& guard, park::slot& node, operation& op) noexcept;
  void leave(park::slot& node, const operation& op) noexcept;
  [[nodiscard]] bool spin(const operation& op) const noexcept;

  park::queue queue_;  // its lock guards the rest, and the items
  std::uint32_t waiting_senders_ = 0;
  std::uint32_t waiting_receivers_ = 0;
  std::atomic<bool> closed_{false};     // read without the lock as a hint
  std::atomic<std::size_t> length_{0};  // likewise
  std::size_t capacity_;                // constant
  std::size_t head_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  const char* name_;  // constant
};

/// A task's wait in the line.
class wait_in_line : public park::task_wait {
 protected:
  wait_in_line(line& where, operation& op, deadline until, std::stop_token stop, std::source_location site) noexcept;
  ~wait_in_line() = default;

  [[nodiscard]] bool ready() noexcept override;
  [[nodiscard]] bool enqueue() noexcept override;
  [[nodiscard]] step claimed(park::phase result) noexcept override;
  void refused(park::phase result) noexcept override;

  /// Why it did not come about; empty when it did.
  [[nodiscard]] std::optional<wait_error> failure() const noexcept { return failure_; }

 private:
  [[nodiscard]] bool over(attempt how) noexcept;

  line& line_;
  operation& op_;
  std::optional<wait_error> failure_;
};

}  // namespace channels
}  // namespace heddle
