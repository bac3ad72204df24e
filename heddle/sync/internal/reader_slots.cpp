#include <heddle/sync/internal/reader_slots.hpp>
#include <heddle/sys/futex.hpp>

#include <algorithm>
#include <bit>

namespace heddle::sync::reader_slots {

constinit line lines[max_lines];
constinit std::atomic<std::uint32_t> last_line{0};

void open() noexcept {
  static const bool opened = [] {
    const std::uint32_t wanted = std::bit_ceil(4 * sys::allowed_cpus());
    last_line.store(std::clamp(wanted, 8U, static_cast<std::uint32_t>(max_lines)) - 1, std::memory_order_release);
    return true;
  }();
  static_cast<void>(opened);
}

void move_into(std::atomic<std::uint64_t>& readers, std::uint64_t one, const void* lock) noexcept {
  const std::size_t first = first_word(lock);
  const std::uint32_t last = last_line.load(std::memory_order_relaxed);
  for (std::uint32_t i = 0; i <= last; ++i) {
    for (const std::size_t at : {first, first ^ 1U}) {
      std::atomic<std::uint64_t>& word = lines[i].word[at];
      std::uint64_t seen = word.load(std::memory_order_seq_cst);
      if (seen != share_of(lock)) continue;
      readers.fetch_add(one, std::memory_order_acq_rel);
      if (!word.compare_exchange_strong(seen, 0, std::memory_order_acq_rel, std::memory_order_acquire)) {
        readers.fetch_sub(one, std::memory_order_acq_rel);  // it was given back meanwhile
      }
    }
  }
}

bool any(const void* lock) noexcept {
  const std::size_t first = first_word(lock);
  return std::ranges::any_of(lines, [=](const line& each) {
    return each.word[first].load(std::memory_order_acquire) == share_of(lock) ||
           each.word[first ^ 1U].load(std::memory_order_acquire) == share_of(lock);
  });
}

}  // namespace heddle::sync::reader_slots
