#pragma once

#include <heddle/base/origin.hpp>
#include <heddle/park/resource.hpp>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace heddle::park {

/// How a lock is held: alone, or together with others that read.
enum class hold_mode : std::uint8_t { exclusive, shared };

/// What a held lock is, packed into 8 bytes: its kind, its name or place of creation, and how it was taken.
/// - Everything that was packed comes out again. [test: holds.what_was_packed_comes_out_again]
class held_as {
 public:
  /// @param tried it was taken without the risk of waiting for ever (a try-lock, or one with a deadline), so it makes
  ///   no edge in the lock order.
  held_as(resource_kind kind, origin made, bool named, hold_mode mode, bool tried) noexcept
      : bits_{std::bit_cast<std::uint64_t>(made) | static_cast<std::uint64_t>(kind) << 48U |
              static_cast<std::uint64_t>(named) << 56U | static_cast<std::uint64_t>(mode) << 57U |
              static_cast<std::uint64_t>(tried) << 58U} {}
  constexpr explicit held_as(std::uint64_t bits) noexcept : bits_{bits} {}

  [[nodiscard]] std::uint64_t bits() const noexcept { return bits_; }
  [[nodiscard]] resource_kind kind() const noexcept { return static_cast<resource_kind>(bits_ >> 48U & 0xffU); }
  [[nodiscard]] origin made() const noexcept { return std::bit_cast<origin>(bits_ & pointer_mask); }
  [[nodiscard]] bool named() const noexcept { return (bits_ >> 56U & 1U) != 0; }
  [[nodiscard]] hold_mode mode() const noexcept { return static_cast<hold_mode>(bits_ >> 57U & 1U); }
  [[nodiscard]] bool tried() const noexcept { return (bits_ >> 58U & 1U) != 0; }

  /// The same for all locks of one class: with the same name's address, or made at the same place.
  [[nodiscard]] constexpr std::uint64_t lock_class() const noexcept { return bits_ & (pointer_mask | 1ULL << 56U); }

  /// The same for a lock whose park::queue lies `offset` bytes into it (a multiple of 4, from 4 to 60). The lock order
  /// marks it there, to tell the lock from a later one at the same address; without a mark, locks of one class, or of
  /// none, have no order among themselves.
  [[nodiscard]] held_as with_queue_at(std::size_t offset) const noexcept {
    return held_as{bits_ | static_cast<std::uint64_t>(offset / 4) << 59U};
  }
  /// Where the lock's queue lies in it; 0 if that was not said.
  [[nodiscard]] std::size_t queue_at() const noexcept { return (bits_ >> 59U & 15U) * 4; }

 private:
  static constexpr std::uint64_t pointer_mask = (1ULL << 48U) - 1;  // addresses of user space have 47 bits
  std::uint64_t bits_;
};

/// One lock that an agent holds, as it was read.
struct hold {
  const void* lock = nullptr;      ///< its address: only to tell locks apart
  held_as how{0};                  ///< what it is
  const void* taken_at = nullptr;  ///< the program counter of the call that took it
  std::uint16_t serial = 0;        ///< changes whenever it is given back and taken again
};

/// The locks that one agent holds, in the order in which it took them. Lies beside the agent's slot in memory that
/// another process can map. Locks beyond `capacity` are counted, not listed.
///
/// State. `state` = version << 32 | unlisted << 16 | listed. The version grows with every change; it is odd while an
///   entry in the middle is being taken out.
/// Invariants.
///   I1  Only the agent writes. An entry is written before the state that lists it, and only after the state that
///       stopped listing it: a reader that sees the same even state before and after has read what was listed then.
/// Edges. E1 state and entries: release by the agent, acquire by readers.
/// Cost. Four stores to take, one to give back; in line for the first lock, a call for those beside it.
/// - Readers get what was held at one moment, or nothing. [test: holds.may_be_read_while_they_change]
class alignas(64) hold_list {
 public:
  static constexpr std::uint32_t capacity = 10;

  /// How many are held.
  [[nodiscard]] std::uint32_t count() const noexcept {
    const std::uint64_t now = state_.load(std::memory_order_relaxed);
    return listed(now) + unlisted(now);
  }

  /// Grows by one whenever a lock is added, and when one is taken out; by the agent only.
  [[nodiscard]] std::uint32_t changes() const noexcept {
    return static_cast<std::uint32_t>(state_.load(std::memory_order_relaxed) >> 33U);
  }

  /// Adds a lock; by the agent only.
  void add(const void* lock, held_as how, const void* taken_at) noexcept {
    if (!add_first(lock, how, taken_at)) add_another(lock, how, taken_at);
  }

  /// Adds a lock if none is held, which is what fast paths do in line; by the agent only.
  /// @return false: others are held, nothing has been added.
  [[nodiscard]] bool add_first(const void* lock, held_as how, const void* taken_at) noexcept {
    if (!prepare_first(lock, how, taken_at)) return false;
    list_first();
    return true;
  }

  /// The first half of add_first(), for before the lock is taken, so that it is held for less long: nothing is listed yet.
  /// @return false: others are held, so this is for add_another().
  /// - A lock that is not taken is not listed. [test: holds.what_was_only_prepared_is_not_listed]
  [[nodiscard]] bool prepare_first(const void* lock, held_as how, const void* taken_at) noexcept {
    const std::uint64_t now = state_.load(std::memory_order_relaxed);
    if (static_cast<std::uint32_t>(now) != 0) [[unlikely]]
      return false;
    write(0, lock, how, taken_at, now);
    return true;
  }
  /// The second half: it has been taken.
  void list_first() noexcept {
    state_.store(state_.load(std::memory_order_relaxed) + next_version + 1, std::memory_order_release);  // E1
  }

  /// Adds a lock to others; by the agent only.
  void add_another(const void* lock, held_as how, const void* taken_at) noexcept {
    const std::uint64_t now = state_.load(std::memory_order_relaxed);
    const std::uint32_t n = listed(now);
    if (n == capacity) [[unlikely]] {
      state_.store(now + next_version + one_unlisted, std::memory_order_release);
      return;
    }
    write(n, lock, how, taken_at, now);
    state_.store(now + next_version + 1, std::memory_order_release);  // E1
  }

  /// If one lock is held: a hash of what it is and what the next one will be, and of `salt`. Else 0. By the agent only.
  /// - Other locks, in another order or with another salt, make another one.
  ///   [test: holds.a_pair_is_told_from_others]
  [[nodiscard]] std::uint64_t pair_with(held_as next, std::uint32_t salt) const noexcept {
    if (static_cast<std::uint32_t>(state_.load(std::memory_order_relaxed)) != 1) return 0;
    constexpr std::uint64_t odd_number = 0x9e3779b97f4a7c15ULL;
    const std::uint64_t first = (entries_[0].how.load(std::memory_order_relaxed) + salt) * odd_number;
    return ((first ^ first >> 29U) + next.bits()) * odd_number;
  }

  /// Whether this lock is the one that was listed last; by the agent only.
  [[nodiscard]] bool ends_with(const void* lock) const noexcept {
    const std::uint32_t n = listed();
    return n != 0 && entries_[n - 1].lock.load(std::memory_order_relaxed) == reinterpret_cast<std::uint64_t>(lock);
  }

  /// Takes a lock out; by the agent only.
  /// @return false when it is certain that it was not in there.
  /// - In any order. [test: holds.are_given_back_in_any_order]
  bool remove(const void* lock) noexcept {
    const std::uint64_t now = state_.load(std::memory_order_relaxed);
    if (static_cast<std::uint32_t>(now) == 1 &&
        entries_[0].lock.load(std::memory_order_relaxed) == reinterpret_cast<std::uint64_t>(lock)) [[likely]] {
      state_.store(now + next_version - 1, std::memory_order_release);  // E1
      return true;
    }
    return remove_slow(lock);
  }

  /// Copies the listed locks, oldest first, into `out` (room for `capacity`); by any thread.
  /// @return how many; -1 when the list kept changing.
  int read(hold* out) const noexcept;

  /// The listed lock at `position`, oldest first; by the agent only.
  [[nodiscard]] hold at(std::uint32_t position) const noexcept;
  /// How many are listed; by the agent only.
  [[nodiscard]] std::uint32_t listed() const noexcept { return listed(state_.load(std::memory_order_relaxed)); }

  /// How many agents have had the list: tells an agent from those before and after it in the same slot; by the agent
  /// only.
  [[nodiscard]] std::uint64_t tenure() const noexcept { return tenure_.load(std::memory_order_relaxed); }
  /// Another agent has it from now on; by that agent.
  /// - Who comes next is told apart. [test: holds.who_comes_next_in_the_same_slot_is_told_apart]
  void begin_tenure() noexcept { tenure_.store(tenure() + 1, std::memory_order_relaxed); }

  /// Takes over what another list holds; by whoever owns both. For a table that moves.
  void copy_from(const hold_list& other) noexcept;

 private:
  struct entry {
    std::atomic<std::uint64_t> lock;
    std::atomic<std::uint64_t> how;
    std::atomic<std::uint64_t> taken_at;  // serial << 48 | program counter
  };
  static constexpr std::uint64_t pointer_mask = (1ULL << 48U) - 1;
  static constexpr std::uint64_t next_version = 2ULL << 32U;
  static constexpr std::uint64_t odd = 1ULL << 32U;
  static constexpr std::uint64_t one_unlisted = 1ULL << 16U;

  static std::uint32_t listed(std::uint64_t state) noexcept { return static_cast<std::uint32_t>(state & 0xffffU); }
  static std::uint32_t unlisted(std::uint64_t state) noexcept {
    return static_cast<std::uint32_t>(state >> 16U & 0xffffU);
  }
  void write(std::uint32_t at, const void* lock, held_as how, const void* taken_at, std::uint64_t now) noexcept {
    write(at, reinterpret_cast<std::uint64_t>(lock), how.bits(),
          reinterpret_cast<std::uint64_t>(taken_at) | now >> 33U << 48U);  // addresses of user space have 47 bits
  }
  void write(std::uint32_t at, std::uint64_t lock, std::uint64_t how, std::uint64_t taken_at) noexcept {
    entries_[at].lock.store(lock, std::memory_order_release);  // I1
    entries_[at].how.store(how, std::memory_order_release);
    entries_[at].taken_at.store(taken_at, std::memory_order_release);
  }
  bool remove_slow(const void* lock) noexcept;

  std::atomic<std::uint64_t> state_;
  std::atomic<std::uint64_t> tenure_;
  entry entries_[capacity];
};
static_assert(sizeof(hold_list) == 256);

}  // namespace heddle::park
