#pragma once

#include <heddle/park/internal/slot.hpp>
#include <heddle/park/queue.hpp>

#include <cstddef>
#include <cstdint>

namespace heddle::sync {

/// Waiters that were claimed and taken out of their queue, oldest first, and have not been told yet. Taking happens under
/// the queue's lock; publishing after the last access to the object, which a published waiter may destroy.
///
/// They are chained through slot::next, which is theirs no more and nobody else's yet.
class claimed_waiters {
 public:
  claimed_waiters() noexcept = default;
  claimed_waiters(const claimed_waiters&) = delete;
  claimed_waiters& operator=(const claimed_waiters&) = delete;
  ~claimed_waiters() = default;

  static constexpr std::size_t all = SIZE_MAX;

  /// Claims up to `most` of the oldest; those that are just giving up are taken out and not counted.
  /// @return how many it claimed.
  std::size_t take(park::queue_guard& guard, std::size_t most) noexcept {
    std::size_t taken = 0;
    while (taken < most) {
      park::slot* const s = guard.first();
      if (s == nullptr) break;
      guard.remove(*s);
      if (!park::claim(*s)) continue;
      s->next = 0;
      (last_ != 0 ? park::slot_at(last_).next : first_) = s->index;
      last_ = s->index;
      has_task_ = has_task_ || s->item != nullptr;
      ++taken;
    }
    return taken;
  }

  /// Whether there is a task among them.
  [[nodiscard]] bool has_task() const noexcept { return has_task_; }

  /// Lets `overdue` be called for each task that has not acted on its wake by `by_ns`; before publish(woken).
  void expect_soon(std::int64_t by_ns, void (*overdue)(park::slot&) noexcept) const noexcept {
    for (std::uint32_t i = first_; i != 0; i = park::slot_at(i).next) {
      if (park::slot_at(i).item != nullptr) park::expect_soon(park::slot_at(i), by_ns, overdue);
    }
  }

  /// Tells all of them.
  void publish(park::phase result) noexcept {
    while (first_ != 0) {
      park::slot& s = park::slot_at(first_);
      first_ = s.next;  // before it can go on
      park::publish(s, result);
    }
    last_ = 0;
  }

 private:
  std::uint32_t first_ = 0;
  std::uint32_t last_ = 0;
  bool has_task_ = false;
};

}  // namespace heddle::sync
