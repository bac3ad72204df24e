#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace heddle::watch {

/// The hashes of chains of held locks that have been studied, and by whose hand. Looked up without a lock.
///
/// State. A word is 0 while it is free, else hash << 24 | agent: the upper 40 bits of the hash, and 24 bits of the only
///   agent that has been seen to take that chain, or 0 when there were several. A chain lies in one of
///   `reach` words that its hash points to. Two chains in 2^40 are taken for one, and the second is never studied.
/// Who may write: whoever holds the lock of the lock order. A word changes as a whole, so readers see no mixture.
class known_chains {
 public:
  enum class answer : std::uint8_t {
    known,
    unknown,  ///< to be studied, and then added
    no_room,  ///< unknown, and could not be added
  };
  static constexpr std::size_t size = std::size_t{1} << 14U;

  /// @param agent at most 24 bits, not 0.
  [[nodiscard]] answer find(std::uint64_t hash, std::uint64_t agent) const noexcept {
    for (unsigned i = 0; i < reach; ++i) {
      const std::uint64_t word = words_[place(hash, i)].load(std::memory_order_relaxed);
      if (word == 0) return answer::unknown;
      if (((word ^ hash) & ~agent_mask) == 0) {
        const std::uint64_t only = word & agent_mask;
        return only == 0 || only == agent ? answer::known : answer::unknown;
      }
    }
    return answer::no_room;
  }

  /// The agent has been seen to take the chain.
  /// @return how many chains more there are now: 0 or 1; -1 when there was no room.
  int add(std::uint64_t hash, std::uint64_t agent) noexcept {
    for (unsigned i = 0; i < reach; ++i) {
      std::atomic<std::uint64_t>& word = words_[place(hash, i)];
      const std::uint64_t now = word.load(std::memory_order_relaxed);
      if (now == 0) {
        word.store((hash & ~agent_mask) | agent, std::memory_order_relaxed);
        return 1;
      }
      if (((now ^ hash) & ~agent_mask) == 0) {
        if ((now & agent_mask) != agent) word.store(hash & ~agent_mask, std::memory_order_relaxed);
        return 0;
      }
    }
    return -1;
  }

  void clear() noexcept {
    for (std::atomic<std::uint64_t>& word : words_) word.store(0, std::memory_order_relaxed);
  }

 private:
  static constexpr unsigned reach = 32;  // the table is three quarters full before one finds no room
  static constexpr std::uint64_t agent_mask = (1ULL << 24U) - 1;

  static std::size_t place(std::uint64_t hash, unsigned i) noexcept {
    return ((hash >> 50U) + i * (hash >> 24U | 1U)) % size;
  }

  std::atomic<std::uint64_t> words_[size]{};
};

}  // namespace heddle::watch
