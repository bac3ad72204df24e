#pragma once

#include <heddle/park/internal/slot.hpp>
#include <heddle/park/queue.hpp>
#include <heddle/sync/internal/reader_slots.hpp>
#include <heddle/sync/internal/turnstile.hpp>
#include <heddle/sync/shared_mutex.hpp>
#include <heddle/sys/futex.hpp>

#include <cstdint>
#include <utility>

namespace heddle {

// The bits of state_, and what they mean, are explained in shared_mutex.cpp.
namespace shared_mutex_state {
inline constexpr std::uint64_t deferring = 1;
inline constexpr std::uint64_t scanning = 2;
inline constexpr std::uint64_t writer_waits = 4;
inline constexpr std::uint64_t reader_waits = 8;
inline constexpr std::uint64_t owes = 16;
inline constexpr unsigned owner_shift = 8;
inline constexpr std::uint64_t owner_mask = 0xffff'ff00U;
inline constexpr std::uint64_t one_reader = 1ULL << 32U;
/// What keeps a reader out that has just come.
inline constexpr std::uint64_t closed_to_readers = owner_mask | writer_waits;
/// Whoever lets go while one of these is set has somebody to look after.
inline constexpr std::uint64_t anybody = writer_waits | reader_waits | owes;

[[nodiscard]] constexpr std::uint64_t owned_by(std::uint32_t agent) noexcept {
  return static_cast<std::uint64_t>(agent) << owner_shift;
}
[[nodiscard]] constexpr std::uint64_t readers(std::uint64_t state) noexcept { return state / one_reader; }
}  // namespace shared_mutex_state

/// What is done with a shared_mutex under its queue's lock; at the end it lets go, and then tells those whom it has
/// chosen. The functions are the steps of shared_mutex.cpp's essay.
///
/// A waiter's `amount` is its note: 0 reads, 1 writes; for a task that has been promised something, 2 and the epoch of
/// the promise are added.
struct shared_mutex::turn {
  explicit turn(shared_mutex& m) noexcept : m_{m}, guard_{m.queue_} {}
  turn(const turn&) = delete;
  turn& operator=(const turn&) = delete;
  ~turn();

  static constexpr std::uint32_t reads_note = 0;
  static constexpr std::uint32_t writes_note = 1;

  [[nodiscard]] std::uint64_t state() const noexcept { return m_.state_.load(std::memory_order_acquire); }

  /// The writer lets go.
  void after_writing() noexcept;
  /// The last reader lets go while a writer waits.
  void after_reading() noexcept;
  /// Takes it to write; false when it is not free. Nothing is left behind.
  [[nodiscard]] bool try_write(std::uint32_t self) noexcept;
  /// For one that has taken it to write and then found shares in slots: counts them in the state; if they are all gone
  /// by then it stays the writer, else it is none, and nothing is left behind.
  [[nodiscard]] bool retreat(std::uint32_t self) noexcept;
  /// Takes it, or lets `node` stand in the queue. Sets `recheck` if the node must look again by itself by then.
  [[nodiscard]] bool take_or_enqueue(park::slot& node, sync::attempt how, deadline& recheck) noexcept;
  /// Takes a node that gave up out of the queue.
  void leave(park::slot& node) noexcept;
  /// The executor of a task that was promised something does not run it.
  void break_promise_to(const park::slot& late) noexcept;

 private:
  template <class Becomes>
  std::uint64_t change(Becomes becomes) noexcept {
    std::uint64_t seen = m_.state_.load(std::memory_order_relaxed);
    while (
        !m_.state_.compare_exchange_weak(seen, becomes(seen), std::memory_order_acq_rel, std::memory_order_relaxed)) {
    }
    return seen;
  }
  // What the state has to say of those who wait to write (I3).
  [[nodiscard]] std::uint64_t waiting_writers_bit() const noexcept {
    return writers_wait() && (m_.in_flight_ == 0 || m_.owed_ != 0) ? shared_mutex_state::writer_waits : 0;
  }
  [[nodiscard]] bool writers_wait() const noexcept { return m_.writers_ != 0; }
  [[nodiscard]] static bool writes(const park::slot& node) noexcept { return (node.amount & 1U) != 0; }
  void count_writers(int change) noexcept;
  [[nodiscard]] bool somebody_is_passed_over() const noexcept;
  [[nodiscard]] std::uint32_t promised() const noexcept { return 2U | m_.epoch_ << 2U; }

  bool announce_and_take(std::uint32_t self) noexcept;
  void close() noexcept;
  [[nodiscard]] bool is_held() const noexcept;
  bool enter_or_mark() noexcept;
  void accept(const park::slot& node, std::uint32_t note) noexcept;
  void forget_promises() noexcept;
  [[nodiscard]] bool readers_are_a_few_threads() const noexcept;
  [[nodiscard]] bool depends_on_promise(const park::slot& node) const noexcept;
  void settle(bool readers_first) noexcept;
  void admit_readers(bool strictly) noexcept;
  void hand_to_writer(bool strictly) noexcept;
  void choose(park::slot& node) noexcept;
  void arrived() noexcept;

  static constexpr std::uint32_t owed_to_writer = 1U << 31U;
  static constexpr std::uint32_t most_in_flight = 255;
  static constexpr std::uint32_t writers_mask = (1U << 24U) - 1;
  static constexpr std::uint32_t epoch_mask = (1U << 24U) - 1;

  shared_mutex& m_;
  park::queue_guard guard_;
  std::uint32_t first_ = 0;  // the chosen ones, through slot::next
  std::uint32_t last_ = 0;
  bool task_chosen_ = false;
  bool granted_ = false;
};

}  // namespace heddle
