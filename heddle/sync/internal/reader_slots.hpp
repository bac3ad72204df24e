#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace heddle::sync::reader_slots {

/// Where readers leave their share of a lock when the lock's own word is wanted by several of them: a process-wide table
/// of cache lines. An agent uses one line whatever it reads, so readers of one lock write to different lines; which
/// words of the line is said by the lock, so that a writer looks at two words in each line.
///
/// A word holds the address of a lock, which stands for one share of it, or 0. Shares of one lock are alike: whoever
/// gives one back may take any word that holds its lock's address.
inline constexpr std::size_t words = 8;
inline constexpr std::size_t max_lines = 64;

struct alignas(64) line {
  std::atomic<std::uint64_t> word[words];
};
extern constinit line lines[max_lines];

/// How many lines are used, less one. Changes once, before the first share is put down.
extern constinit std::atomic<std::uint32_t> last_line;

/// Decides how many lines are used; to be called before the first share of a lock is put down.
void open() noexcept;

/// The share of a lock as a word shows it.
[[nodiscard]] inline std::uint64_t share_of(const void* lock) noexcept { return reinterpret_cast<std::uint64_t>(lock); }

/// The first of a lock's two words in each line; the other one is its neighbour, `^ 1`.
[[nodiscard]] inline std::size_t first_word(const void* lock) noexcept {
  return (share_of(lock) * 0x9e37'79b9'7f4a'7c15U) >> 61U;
}

[[nodiscard]] inline line& line_of(std::uint32_t agent) noexcept {
  return lines[agent & last_line.load(std::memory_order_relaxed)];
}

/// Puts a share down; false when both words are taken.
[[nodiscard]] inline bool put(std::uint32_t agent, const void* lock) noexcept {
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

/// Takes a share up; false when there is none here.
[[nodiscard]] inline bool take(std::uint32_t agent, const void* lock) noexcept {
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

/// Moves all shares of a lock into `readers`, which counts them in units of `one`; it is never less than the shares that
/// are there, and at most one more. To be called by one at a time for a lock.
void move_into(std::atomic<std::uint64_t>& readers, std::uint64_t one, const void* lock) noexcept;

/// Whether there is a share of the lock.
[[nodiscard]] bool any(const void* lock) noexcept;

}  // namespace heddle::sync::reader_slots
