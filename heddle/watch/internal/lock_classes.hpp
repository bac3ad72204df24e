#pragma once

#include <heddle/park/holds.hpp>
#include <heddle/park/internal/diagnosis.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace heddle::watch {

/// The classes of locks: those with the same name, or made at the same place in the source.
///
/// A lock says its class by an address (of the name, or of the place); several addresses may mean the same text. So
/// addresses are kept in a table that is read without a lock, and texts beside it.
/// Who may write: whoever holds the lock of the lock order; a class never changes its id nor its text, and never goes.
class lock_classes {
 public:
  static constexpr std::uint32_t max_classes = 2048;
  static constexpr std::uint32_t none = max_classes;

  /// What a lookup by address says.
  struct entry {
    std::uint32_t id = none;
    bool by_instance = false;  ///< the hash of a chain has to tell its locks apart: it has no place, or was a gate
    [[nodiscard]] bool found() const noexcept { return id != none; }
  };

  /// By any thread.
  [[nodiscard]] entry find(park::held_as how) const noexcept {
    const std::uint64_t key = key_of(how);
    for (std::size_t i = first_of(key);; i = (i + 1) % addresses) {
      const std::uint64_t seen = keys_[i].load(std::memory_order_acquire);
      if (seen == 0) return {};
      if (seen != key) continue;
      const std::uint32_t id = ids_[i].load(std::memory_order_relaxed);
      return {id, flags_[id].load(std::memory_order_relaxed) != 0};
    }
  }

  /// Whether lookups matter at all: some class is to be told apart by instance, or goes by several addresses.
  [[nodiscard]] bool any_special() const noexcept { return any_special_.load(std::memory_order_relaxed); }

  /// The class of a lock that is held now; `none` when there are too many already. By a writer.
  std::uint32_t intern(park::held_as how) noexcept;

  /// From now on a chain's hash tells locks of this class apart. By a writer.
  void tell_apart(std::uint32_t id) noexcept {
    flags_[id].store(1, std::memory_order_relaxed);
    any_special_.store(true, std::memory_order_relaxed);
    park::orders_changed.fetch_add(1, std::memory_order_release);  // E1 of lock_order.cpp
  }

  /// For reports: "ledger", "pay.cpp:12". By any thread that knows the id from a writer.
  [[nodiscard]] std::string text(std::uint32_t id) const;

  struct marks {
    bool placeless = false;       ///< its place says nothing: each lock is one of its own
    bool written = false;         ///< taken exclusively by somebody who held or then took another lock
    bool recursion_told = false;  ///< an agent has read it twice at once, and that was told
  };
  /// By a writer.
  [[nodiscard]] marks& marks_of(std::uint32_t id) noexcept { return classes_[id].marks; }

  [[nodiscard]] std::uint32_t count() const noexcept { return count_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t addresses = std::size_t{2} * max_classes;

  struct lock_class {
    std::uint64_t text_hash;   // 64 bits of it: two texts are not taken for one
    std::uint64_t first_seen;  // a held_as: names and places live as long as the program
    marks marks;
  };

  // The address of a name or place, and which of the two it is; never 0.
  static std::uint64_t key_of(park::held_as how) noexcept { return how.lock_class() | 1ULL << 63U; }
  static std::size_t first_of(std::uint64_t key) noexcept { return (key * 0x9e3779b97f4a7c15ULL >> 40U) % addresses; }

  std::atomic<bool> any_special_{false};
  std::atomic<std::uint32_t> count_{0};
  std::uint32_t addresses_used_{0};  // a quarter stays free, so that each lookup ends
  std::atomic<std::uint64_t> keys_[addresses]{};
  std::atomic<std::uint32_t> ids_[addresses]{};
  std::atomic<std::uint8_t> flags_[max_classes]{};
  lock_class classes_[max_classes]{};
};

}  // namespace heddle::watch
