// The tables of shares; their invariants are those of shared_mutex.cpp.

#include <heddle/sync/internal/reader_slots.hpp>
#include <heddle/sys/compiler.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/sys/restartable.hpp>

#include <algorithm>
#include <bit>
#include <span>

namespace heddle::sync::reader_slots {

constinit line own_lines[max_own];
constinit line lines[max_lines];
constinit table_state state{};

namespace {

// How often a writer looks whether readers let go by themselves, before it interrupts them: as long as a short section.
constexpr int looks = 64;

line& line_of(std::uint32_t agent) noexcept {
  if (agent < state.own_end.load(std::memory_order_relaxed)) {
    return own_lines[agent];
  }
  return lines[agent & state.last_line.load(std::memory_order_relaxed)];
}

// Before the share is put down, so that a writer that cannot see it there will be seen (E2).
void announce(std::uint32_t agent) noexcept {
  if (agent < state.own_end.load(std::memory_order_relaxed)) {
    std::uint32_t seen = state.own_used.load(std::memory_order_relaxed);
    while (seen <= agent && !state.own_used.compare_exchange_weak(seen, agent + 1, std::memory_order_seq_cst)) {
    }
  } else if (!state.others_come.load(std::memory_order_relaxed)) {
    state.others_come.store(true, std::memory_order_seq_cst);
  }
}

std::span<line> own_lines_in_use() noexcept {
  return std::span{own_lines}.first(state.own_used.load(std::memory_order_seq_cst));
}

std::span<line> other_lines_in_use() noexcept {
  if (!state.others_come.load(std::memory_order_seq_cst)) return {};
  return std::span{lines}.first(state.last_line.load(std::memory_order_relaxed) + 1);
}

void move_from(std::span<line> some, std::atomic<std::uint64_t>& readers, std::uint64_t one,
               const void* lock) noexcept {
  const std::size_t first = first_word(lock);
  for (line& each : some) {
    for (const std::size_t at : {first, first ^ 1U}) {
      std::uint64_t seen = each.word[at].load(std::memory_order_seq_cst);
      if (seen != share_of(lock)) continue;
      readers.fetch_add(one, std::memory_order_acq_rel);
      if (!each.word[at].compare_exchange_strong(seen, 0, std::memory_order_acq_rel, std::memory_order_acquire)) {
        readers.fetch_sub(one, std::memory_order_acq_rel);  // it was given back meanwhile
      }
    }
  }
}

bool any_in(std::span<const line> some, const void* lock) noexcept {
  const std::size_t first = first_word(lock);
  return std::ranges::any_of(some, [=](const line& each) {
    return each.word[first].load(std::memory_order_seq_cst) == share_of(lock) ||
           each.word[first ^ 1U].load(std::memory_order_seq_cst) == share_of(lock);
  });
}

}  // namespace

void open() noexcept {
  static const bool opened = [] {
    const std::uint32_t wanted = std::bit_ceil(4 * sys::allowed_cpus());
    state.last_line.store(std::clamp(wanted, 8U, static_cast<std::uint32_t>(max_lines)) - 1, std::memory_order_release);
    state.own_end.store(sys::restartable && sys::restart_area != 0 ? max_own : 0, std::memory_order_release);
    return true;
  }();
  static_cast<void>(opened);
}

bool put(std::uint32_t agent, const void* lock) noexcept {
  announce(agent);
  line& own = line_of(agent);
  const std::size_t first = first_word(lock);
  for (const std::size_t at : {first, first ^ 1U}) {
    std::uint64_t none = own.word[at].load(std::memory_order_relaxed);
    if (none == 0 && own.word[at].compare_exchange_strong(none, share_of(lock), std::memory_order_seq_cst,
                                                          std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

bool take(std::uint32_t agent, const void* lock) noexcept {
  line& own = line_of(agent);
  const std::size_t first = first_word(lock);
  for (const std::size_t at : {first, first ^ 1U}) {
    std::uint64_t mine = own.word[at].load(std::memory_order_acquire);
    if (mine == share_of(lock) &&
        own.word[at].compare_exchange_strong(mine, 0, std::memory_order_acq_rel, std::memory_order_acquire)) {
      return true;
    }
  }
  return false;
}

void move_into(std::atomic<std::uint64_t>& readers, std::uint64_t one, const void* lock) noexcept {
  const std::span<line> own = own_lines_in_use();
  if (any_in(own, lock)) {
    sys::restart_others();  // I7
    move_from(own, readers, one, lock);
  }
  move_from(other_lines_in_use(), readers, one, lock);
}

bool any(const void* lock) noexcept { return any_in(own_lines_in_use(), lock) || any_in(other_lines_in_use(), lock); }

bool any_after_a_while(const void* lock) noexcept {
  for (int i = 0; any(lock); ++i) {
    if (i == looks) return true;
    sys::spin_pause();
  }
  return false;
}

}  // namespace heddle::sync::reader_slots
