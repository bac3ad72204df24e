#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace heddle::sync::reader_slots {

/// Where readers leave their share of a lock when the lock's own word is wanted by several of them: process-wide tables of
/// cache lines. An agent uses one line whatever it reads, so readers of one lock write to different lines; which words of
/// the line is said by the lock, so that a writer looks at two words in each line.
///
/// The agents with the lowest ids have a line each, into which only they put shares. The others share some lines, several
/// agents to one. See the invariants in shared_mutex.cpp for who may write what when.
///
/// A word holds the address of a lock, which stands for one share of it, or 0. Shares of one lock are alike: whoever
/// gives one back may take any word that holds its lock's address.
inline constexpr std::size_t words = 8;
inline constexpr std::uint32_t max_own = 64;  // ids of agents that may have their own line
inline constexpr std::size_t max_lines = 64;  // for the others

struct alignas(64) line {
  std::atomic<std::uint64_t> word[words];
};

/// All that readers look at and that hardly ever changes.
struct alignas(64) table_state {
  /// The ids below it have a line of their own, and have put something there; the others may not have. Grows.
  std::atomic<std::uint32_t> own_used;
  /// The ids below it may have a line of their own: max_own, or 0 where it would be of no use. Changes once, before the
  /// first share is put down.
  std::atomic<std::uint32_t> own_end;
  /// How many lines the others use, less one. Changes once, before the first share is put down.
  std::atomic<std::uint32_t> last_line;
  /// Whether others have put anything down.
  std::atomic<bool> others_come;
};

extern constinit line own_lines[max_own];
extern constinit line lines[max_lines];
extern constinit table_state state;

/// Decides what is used; to be called before the first share of a lock is put down.
void open() noexcept;

/// The share of a lock as a word shows it.
[[nodiscard]] inline std::uint64_t share_of(const void* lock) noexcept { return reinterpret_cast<std::uint64_t>(lock); }

/// The first of a lock's two words in each line; the other one is its neighbour, `^ 1`.
[[nodiscard]] inline std::size_t first_word(const void* lock) noexcept {
  return (share_of(lock) * 0x9e37'79b9'7f4a'7c15U) >> 61U;
}

/// The agent's word for the lock that fast paths try; null: it has no line of its own.
[[nodiscard, gnu::always_inline]] inline std::atomic<std::uint64_t>* own_word(std::uint32_t agent,
                                                                              const void* lock) noexcept {
  if (agent >= state.own_used.load(std::memory_order_relaxed)) return nullptr;
  return &own_lines[agent].word[first_word(lock)];
}

/// Puts a share down; false when both words are taken.
[[nodiscard]] bool put(std::uint32_t agent, const void* lock) noexcept;

/// Takes a share up; false when there is none here.
[[nodiscard]] bool take(std::uint32_t agent, const void* lock) noexcept;

/// Moves all shares of a lock into `readers`, which counts them in units of `one`; it is never less than the shares that
/// are there, and at most one more. To be called by one at a time for a lock, and after readers have been told not to
/// use their fast paths.
void move_into(std::atomic<std::uint64_t>& readers, std::uint64_t one, const void* lock) noexcept;

/// Whether there is a share of the lock.
[[nodiscard]] bool any(const void* lock) noexcept;

/// The same; but if there are shares, looks again for about as long as a short section lasts.
[[nodiscard]] bool any_after_a_while(const void* lock) noexcept;

}  // namespace heddle::sync::reader_slots
