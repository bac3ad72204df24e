// The hierarchical timer wheel.
//
// State. A tick is read as eight digits of six bits. `elapsed_` is the tick up to which everything is settled. An entry
//   stands at the level of the highest digit in which its tick differs from elapsed_, in the list of that digit.
// Invariants.
//   I1  An entry of level L agrees with elapsed_ in all digits above L, and its digit L is larger (level 0: or equal,
//       when it is due). So no list ever wraps around, and every entry of a lower level is due before all of a higher.
//   I2  elapsed_ does not pass the beginning of an occupied list, so moving it keeps I1.
//   I3  A bit of occupied_ is set exactly while its list is not empty.
// Cost. set and clear: constant. An entry moves down at most seven times before it is due.
// Source. Varghese and Lauck, Hashed and Hierarchical Timing Wheels, 1987, scheme 7.

#include <heddle/io/internal/timer_wheel.hpp>

#include <bit>

namespace heddle::io {

void timer_wheel::set(timer_entry& entry, std::int64_t tick) noexcept {
  entry.tick = tick < elapsed_ ? elapsed_ : tick > max_tick ? max_tick : tick;
  link(entry);
  ++size_;
}

void timer_wheel::clear(timer_entry& entry) noexcept {
  if (!entry.is_set()) return;
  unlink(entry);
  --size_;
}

timer_entry* timer_wheel::pop_due(std::int64_t now) noexcept {
  for (;;) {
    const std::optional<position> at = first();
    if (!at || at->tick > now) {
      if (elapsed_ < now) elapsed_ = now;  // I2
      return nullptr;
    }
    elapsed_ = at->tick;
    timer_entry* entry = lists_[at->level * slots + at->slot];
    if (at->level == 0) {
      unlink(*entry);
      --size_;
      return entry;
    }
    while (entry != nullptr) {
      timer_entry* next = entry->next;
      unlink(*entry);
      link(*entry);  // at a lower level, as elapsed_ now has the same digit here
      entry = next;
    }
  }
}

std::optional<std::int64_t> timer_wheel::next() const noexcept {
  const std::optional<position> at = first();
  if (!at) return std::nullopt;
  return at->tick;
}

std::optional<timer_wheel::position> timer_wheel::first() const noexcept {
  for (int level = 0; level < levels; ++level) {
    if (occupied_[level] == 0) continue;
    const int slot = std::countr_zero(occupied_[level]);  // I1: the lowest is the first
    const int shift = level * bits;
    const std::int64_t above = elapsed_ >> (shift + bits) << (shift + bits);
    return position{level, slot, above | std::int64_t{slot} << shift};
  }
  return std::nullopt;
}

void timer_wheel::link(timer_entry& entry) noexcept {
  const auto differing = static_cast<std::uint64_t>(entry.tick ^ elapsed_);
  const int level = differing == 0 ? 0 : (static_cast<int>(std::bit_width(differing)) - 1) / bits;
  const int slot = static_cast<int>(entry.tick >> (level * bits)) & (slots - 1);
  const int place = level * slots + slot;
  entry.place = static_cast<std::uint16_t>(place);
  timer_entry*& head = lists_[place];
  entry.next = head;
  entry.link = &head;
  if (head != nullptr) head->link = &entry.next;
  head = &entry;
  occupied_[level] |= std::uint64_t{1} << slot;  // I3
}

void timer_wheel::unlink(timer_entry& entry) noexcept {
  *entry.link = entry.next;
  if (entry.next != nullptr) entry.next->link = entry.link;
  entry.link = nullptr;
  entry.next = nullptr;
  if (lists_[entry.place] == nullptr) {
    occupied_[entry.place / slots] &= ~(std::uint64_t{1} << (entry.place % slots));  // I3
  }
}

}  // namespace heddle::io
