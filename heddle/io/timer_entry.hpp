#pragma once

#include <cstdint>

namespace heddle::io {

/// One timer of an event loop's wheel: lies in whoever waits and is linked by the wheel. Only for the awaiters of io.
///
/// Thread-safety: touched on the loop's thread only.
struct timer_entry {
  timer_entry* next = nullptr;
  timer_entry** link = nullptr;                   ///< what points to this entry; null while it is not set
  std::int64_t tick = 0;                          ///< when it is due, in ticks of the wheel
  std::uint16_t place = 0;                        ///< its list in the wheel
  void (*fire)(timer_entry&) noexcept = nullptr;  ///< called once when due, with the entry already unlinked

  [[nodiscard]] bool is_set() const noexcept { return link != nullptr; }
};

}  // namespace heddle::io
