#pragma once

#include <heddle/park/resource.hpp>

#include <atomic>
#include <cstdint>

namespace heddle {
class agent;
}

namespace heddle::park {

/// What watch plugs into the wait core. Park knows nothing else of it.
struct diagnosis_hooks {
  /// A wait has begun, and nobody looks at waits yet: somebody should in a little while. Called by the waiter before it
  /// sleeps; must not wait.
  void (*wait_began)() noexcept;
  /// The agent has taken a lock, not by trying, while it holds others; must not wait. True: when it takes such a lock
  /// under such a one again, nobody needs to know, until `orders_changed`.
  bool (*took_another)(agent& self) noexcept;
  /// An executor has begun to run an item, and nobody looks at items yet: somebody should now and then. Must not wait.
  void (*item_began)() noexcept;
};

/// Null while nothing is diagnosed.
extern constinit std::atomic<const diagnosis_hooks*> diagnosis;

/// Grows when what took_another said before counts no more: released by who knows that, acquired by who asks.
extern constinit std::atomic<std::uint32_t> orders_changed;

/// Whether somebody is going to look at all waits that have begun. Set by wait_began, cleared by the one who looks,
/// before it looks (both seq_cst, as are a wait's `pinnable` and this load: one of the two sees the other).
extern constinit std::atomic<bool> look_is_due;

/// Whether somebody looks now and then at what executors run. Set by item_began, cleared when nobody runs anything.
extern constinit std::atomic<bool> items_are_watched;

inline void tell_of_item() noexcept {
  if (items_are_watched.load(std::memory_order_relaxed)) return;
  if (const diagnosis_hooks* hooks = diagnosis.load(std::memory_order_acquire); hooks != nullptr) hooks->item_began();
}

/// Whether a wait for such a thing can say something about others: waits for the outside world cannot.
[[nodiscard]] constexpr bool is_telling(resource_kind kind) noexcept {
  switch (kind) {
    case resource_kind::none:
    case resource_kind::timer:
    case resource_kind::socket:
    case resource_kind::signal:
    case resource_kind::pool: return false;
    default: return true;
  }
}

inline void tell_of_wait(resource_kind kind) noexcept {
  if (look_is_due.load(std::memory_order_seq_cst) || !is_telling(kind)) return;
  if (const diagnosis_hooks* hooks = diagnosis.load(std::memory_order_acquire); hooks != nullptr) hooks->wait_began();
}

}  // namespace heddle::park
