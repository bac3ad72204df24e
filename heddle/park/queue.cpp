#include <heddle/park/internal/slot.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/sys/futex.hpp>

#include <limits>

namespace heddle::park {

// The lock is held for tens of nanoseconds, so one attempt in a while finds it free; a holder that lost its CPU is
// waited for asleep. A sleeper takes the lock with the sleepers bit set, since others may sleep behind it.
queue_guard::queue_guard(queue& q) noexcept : queue_{&q} {
  constexpr int spins = 100;
  std::uint32_t seen = q.head_.load(std::memory_order_relaxed);
  for (int i = 0; i < spins; ++i) {
    if ((seen & queue::locked_bit) == 0) {
      if (q.head_.compare_exchange_weak(seen, seen | queue::locked_bit, std::memory_order_acquire)) {
        head_ = seen & ~queue::sleepers_bit;
        return;
      }
      continue;
    }
    if (sys::allowed_cpus() == 1) break;
    sys::spin_pause();
    seen = q.head_.load(std::memory_order_relaxed);
  }
  for (;;) {
    if ((seen & queue::locked_bit) == 0) {
      const std::uint32_t taken = seen | queue::locked_bit | queue::sleepers_bit;
      if (q.head_.compare_exchange_weak(seen, taken, std::memory_order_acquire)) {
        head_ = seen & ~queue::sleepers_bit;
        return;
      }
    } else if ((seen & queue::sleepers_bit) != 0 ||
               q.head_.compare_exchange_weak(seen, seen | queue::sleepers_bit, std::memory_order_relaxed)) {
      sys::futex_wait(q.head_, seen | queue::sleepers_bit, std::numeric_limits<std::int64_t>::max());
      seen = q.head_.load(std::memory_order_relaxed);
    }
  }
}

// The wake names an address that may already belong to something else; whoever sleeps there looks again and sleeps on.
void queue_guard::unlock() noexcept {
  queue& q = *queue_;
  queue_ = nullptr;
  if ((head_ & queue::index_mask) == 0) head_ &= ~queue::mixed_bit;
  const std::uint32_t before = q.head_.exchange(head_, std::memory_order_release);
  if ((before & queue::sleepers_bit) != 0) sys::futex_wake(q.head_, 1);
}

slot* queue_guard::first() const noexcept {
  const std::uint32_t index = head_ & queue::index_mask;
  return index == 0 ? nullptr : &slot_at(index);
}

slot* queue_guard::after(const slot& s) const noexcept {
  return s.next == (head_ & queue::index_mask) ? nullptr : &slot_at(s.next);
}

void queue_guard::link_before(slot& s, slot* other) noexcept {
  s.queued = true;
  head_ |= queue::used_bit;
  if (other == nullptr) {
    s.next = s.previous = s.index;
    set_first(s.index);
    return;
  }
  s.next = other->index;
  s.previous = other->previous;
  slot_at(other->previous).next = s.index;
  other->previous = s.index;
  const executor* own = s.item != nullptr ? s.runs_on : nullptr;
  const executor* theirs = other->item != nullptr ? other->runs_on : nullptr;
  if (own != theirs) head_ |= queue::mixed_bit;
}

void queue_guard::push_back(slot& s) noexcept { link_before(s, first()); }

void queue_guard::push_front(slot& s) noexcept {
  link_before(s, first());
  set_first(s.index);
}

void queue_guard::push_by_age(slot& s) noexcept {
  slot* younger = first();
  while (younger != nullptr && younger->since_ns <= s.since_ns) younger = after(*younger);
  if (younger == first()) {
    push_front(s);
  } else if (younger == nullptr) {
    push_back(s);
  } else {
    link_before(s, younger);
  }
}

void queue_guard::remove(slot& s) noexcept {
  if (!s.queued) return;
  s.queued = false;
  if (s.next == s.index) {
    set_first(0);
    return;
  }
  slot_at(s.previous).next = s.next;
  slot_at(s.next).previous = s.previous;
  if ((head_ & queue::index_mask) == s.index) set_first(s.next);
}

}  // namespace heddle::park
