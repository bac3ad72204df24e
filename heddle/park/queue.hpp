#pragma once

#include <atomic>
#include <cstdint>

namespace heddle::park {

struct slot;

/// The head of a queue of waiters: 4 bytes inside the object that is waited for. First in, first out; threads and
/// tasks stand in it together. Touched only through queue_guard, which holds its lock.
///
/// - First in, first out. [test: queue.is_first_in_first_out]
/// - It keeps whether its owner has a name. [test: queue.keeps_what_its_owner_noted]
///
/// State: bits 0-23 index of the first node, 0 when empty (the nodes form a ring: the first's `previous` is the last);
/// bit 26 used: a waiter has stood in it since take_used(); bit 27 mixed: waiters of more than one executor have stood in it since it was last empty; bit 28 named: constant,
/// for the owner of the queue (see origin.hpp); bit 29 noted: the owner is known, see queue_guard::note(); bit 30
/// sleepers: somebody sleeps for the lock; bit 31 locked.
/// While it is locked, others change nothing but the sleepers bit.
class queue {
 public:
  constexpr explicit queue(bool named = false) noexcept : head_{named ? named_bit : 0} {}
  queue(const queue&) = delete;
  queue& operator=(const queue&) = delete;

  /// Whether the owner has a name rather than a place of creation.
  [[nodiscard]] bool named() const noexcept { return (head_.load(std::memory_order_relaxed) & named_bit) != 0; }

  /// Whether anybody stands in it. Only a hint unless its lock is held; what is read afterwards is not older.
  [[nodiscard]] bool seems_empty() const noexcept { return (head_.load(std::memory_order_acquire) & index_mask) == 0; }

  /// Whether somebody holds its lock. If not, whoever held it before has done with the queue, and what was done under the
  /// lock is seen.
  /// - It says so while the lock is held. [test: queue.says_whether_its_lock_is_held]
  [[nodiscard]] bool seems_locked() const noexcept { return (head_.load(std::memory_order_acquire) & locked_bit) != 0; }

 private:
  friend class queue_guard;
  static constexpr std::uint32_t index_mask = (1U << 24) - 1;
  static constexpr std::uint32_t used_bit = 1U << 26;
  static constexpr std::uint32_t mixed_bit = 1U << 27;
  static constexpr std::uint32_t named_bit = 1U << 28;
  static constexpr std::uint32_t noted_bit = 1U << 29;
  static constexpr std::uint32_t sleepers_bit = 1U << 30;
  static constexpr std::uint32_t locked_bit = 1U << 31;

  std::atomic<std::uint32_t> head_;
};

/// Holds a queue's lock and works on its nodes. Spins for a bounded time, then sleeps. Nothing that can wait or post
/// may be called while it is held.
/// - One at a time. [test: queue.its_lock_excludes]
class queue_guard {
 public:
  explicit queue_guard(queue& q) noexcept;
  ~queue_guard() {
    if (queue_ != nullptr) unlock();
  }
  queue_guard(const queue_guard&) = delete;
  queue_guard& operator=(const queue_guard&) = delete;

  /// Lets go early. The last access to the queue.
  void unlock() noexcept;

  [[nodiscard]] bool empty() const noexcept { return (head_ & queue::index_mask) == 0; }
  [[nodiscard]] slot* first() const noexcept;
  /// The node behind `s`, or null at the end.
  [[nodiscard]] slot* after(const slot& s) const noexcept;
  void push_back(slot& s) noexcept;
  void push_front(slot& s) noexcept;
  /// Puts `s` back by its age, before all whose wait began later. Costs a look at each older one.
  /// - The oldest comes first. [test: queue.puts_back_by_age]
  void push_by_age(slot& s) noexcept;
  /// Takes `s` out; nothing happens if it does not stand in the queue.
  /// - From any place. [test: queue.takes_out_of_the_middle,
  ///   queue.removing_what_does_not_stand_in_it_does_nothing]
  void remove(slot& s) noexcept;

  /// Whether waiters of different executors have met here since it was last empty; all threads count as one executor.
  /// - It says so until the queue is empty. [test: queue.knows_when_waiters_of_several_executors_have_met]
  [[nodiscard]] bool mixed() const noexcept { return (head_ & queue::mixed_bit) != 0; }

  /// Whether a waiter stands in it or has stood in it since the last call.
  /// - It says so once. [test: queue.knows_whether_it_has_been_used]
  [[nodiscard]] bool take_used() noexcept {
    const bool used = (head_ & queue::used_bit) != 0;
    if (empty()) head_ &= ~queue::used_bit;
    return used;
  }

  /// Notes for as long as the queue exists that its owner is known. True if that was noted before.
  /// - A new one at the same address is not known. [test: queue.a_new_one_at_the_same_address_is_not_known]
  [[nodiscard]] bool note() noexcept {
    const bool before = (head_ & queue::noted_bit) != 0;
    head_ |= queue::noted_bit;
    return before;
  }

 private:
  void link_before(slot& s, slot* other) noexcept;  // null: the queue is empty
  void set_first(std::uint32_t index) noexcept { head_ = (head_ & ~queue::index_mask) | index; }

  queue* queue_;
  std::uint32_t head_;  // what the head will hold when the lock is let go, without lock and sleepers bits
};

}  // namespace heddle::park
