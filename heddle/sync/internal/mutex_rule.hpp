#pragma once

#include <heddle/sync/internal/turnstile.hpp>
#include <heddle/sync/mutex.hpp>

namespace heddle {

/// A mutex as a turnstile: the value is the holder's agent id, 0 when it is free.
struct mutex::rule {
  static constexpr bool shared = false;
  static constexpr bool restartable = true;
  static bool take(std::uint32_t value, std::uint32_t self, std::uint32_t& after) noexcept {
    after = self;
    return value == 0;
  }
  static std::uint32_t give(std::uint32_t, std::uint32_t) noexcept { return 0; }
  static sync::turnstile<rule> at(const void* object) noexcept {
    return of(*const_cast<mutex*>(static_cast<const mutex*>(object)));
  }
  /// Whether it is this agent's turn to look if the word must be careful: one unlock in 8191, whatever its other locks.
  static bool is_worth_a_look(const agent& self) noexcept { return self.holds().changes() % 8191 == 0; }
  static sync::turnstile<rule> of(mutex& m) noexcept { return {m.word_, m.queue_}; }
};

}  // namespace heddle
