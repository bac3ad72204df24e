#pragma once

#include <heddle/park/wait.hpp>

#include <cstdint>
#include <optional>

namespace heddle::sync {

/// The word of a mutex or a semaphore is value << value_shift | flags; see internal/turnstile.hpp.
inline constexpr unsigned value_shift = 6;

/// In a free mutex's word, and in a held one's: others have queued up for it lately.
inline constexpr std::uint32_t careful_bit = 32;

/// A task's wait for a mutex or a semaphore: what their awaiters share. `Rule` is the primitive's own; the functions
/// are defined with the algorithm in internal/turnstile.hpp and instantiated by the primitive's .cpp.
/// - A woken task that finds nothing left waits on in its old place.
///   [test: semaphore.woken_waiters_that_find_nothing_keep_their_order]
template <class Rule>
class turnstile_wait : public park::task_wait {
 protected:
  ~turnstile_wait() = default;
  turnstile_wait(void* object, std::uint32_t amount, const park::resource& what, deadline until, std::stop_token stop,
                 std::source_location site) noexcept
      : task_wait{what, until, std::move(stop), site}, object_{object}, amount_{amount} {}

  [[nodiscard]] bool ready() noexcept override;
  [[nodiscard]] bool enqueue() noexcept override;
  [[nodiscard]] step claimed(park::phase result) noexcept override;
  void refused(park::phase result) noexcept override;

  /// Why it was not taken; empty when it was.
  [[nodiscard]] std::optional<wait_error> error() const noexcept { return error_; }

 private:
  void* object_;
  std::uint32_t amount_;
  std::optional<wait_error> error_;
};

}  // namespace heddle::sync
