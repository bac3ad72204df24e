#include <heddle/sync/backoff.hpp>
#include <heddle/sys/futex.hpp>
#include <heddle/watch/livelock.hpp>

#include <atomic>

namespace heddle {

// The clock tells processes apart, the count those who ask within one reading of it.
std::uint64_t backoff::fresh_seed() noexcept {
  static constinit std::atomic<std::uint64_t> asked{0};
  const std::uint64_t count = asked.fetch_add(1, std::memory_order_relaxed) + 1;
  return static_cast<std::uint64_t>(sys::steady_now_ns()) ^ (count << 48U) ^ (count * 0x9e3779b97f4a7c15U);
}

void backoff::tell() const noexcept { watch::attempts_without_progress(origin_, named_, attempts_); }

}  // namespace heddle
