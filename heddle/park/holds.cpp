#include <heddle/park/holds.hpp>

#include <algorithm>

namespace heddle::park {

bool hold_list::remove_slow(const void* lock) noexcept {
  const std::uint64_t now = state_.load(std::memory_order_relaxed);
  const std::uint32_t n = listed(now);
  if (n != 0 && entries_[n - 1].lock.load(std::memory_order_relaxed) == reinterpret_cast<std::uint64_t>(lock)) {
    state_.store(now + next_version - 1, std::memory_order_release);  // E1
    return true;
  }
  std::uint32_t at = n;
  while (at != 0 && entries_[at - 1].lock.load(std::memory_order_relaxed) != reinterpret_cast<std::uint64_t>(lock))
    --at;
  if (at == 0) {
    if (unlisted(now) == 0) return false;
    state_.store(now + next_version - one_unlisted, std::memory_order_release);
    return true;
  }
  state_.store(now + odd, std::memory_order_release);  // I1
  for (; at < n; ++at) {
    const entry& next = entries_[at];
    write(at - 1, next.lock.load(std::memory_order_relaxed), next.how.load(std::memory_order_relaxed),
          next.taken_at.load(std::memory_order_relaxed));
  }
  state_.store(now + next_version - 1, std::memory_order_release);  // E1
  return true;
}

hold hold_list::at(std::uint32_t position) const noexcept {
  const entry& e = entries_[position];
  const std::uint64_t taken_at = e.taken_at.load(std::memory_order_acquire);
  return {reinterpret_cast<const void*>(e.lock.load(std::memory_order_acquire)),
          held_as{e.how.load(std::memory_order_acquire)}, reinterpret_cast<const void*>(taken_at & pointer_mask),
          static_cast<std::uint16_t>(taken_at >> 48U)};
}

int hold_list::read(hold* out) const noexcept {
  constexpr int attempts = 8;
  for (int i = 0; i < attempts; ++i) {
    const std::uint64_t before = state_.load(std::memory_order_acquire);  // E1
    if ((before & odd) != 0) continue;
    const std::uint32_t n = std::min(listed(before), capacity);  // it may be another process's, and so may be anything
    for (std::uint32_t k = 0; k < n; ++k) out[k] = at(k);
    if (state_.load(std::memory_order_relaxed) == before) return static_cast<int>(n);
  }
  return -1;
}

void hold_list::copy_from(const hold_list& other) noexcept {
  const std::uint64_t now = other.state_.load(std::memory_order_relaxed);
  for (std::uint32_t k = 0; k < listed(now); ++k) {
    const entry& e = other.entries_[k];
    write(k, e.lock.load(std::memory_order_relaxed), e.how.load(std::memory_order_relaxed),
          e.taken_at.load(std::memory_order_relaxed));
  }
  tenure_.store(other.tenure(), std::memory_order_relaxed);
  state_.store(now, std::memory_order_release);
}

}  // namespace heddle::park
