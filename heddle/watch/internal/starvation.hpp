#pragma once

#include <heddle/park/internal/picture.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

namespace heddle::watch {

/// Finds waiters that are passed over again and again, by comparing pictures. One owner.
///
/// A waiter is passed over when somebody takes what it waits for who had not been waiting for it longer. Between two
/// pictures this may happen many times and is counted once, so the count is "at least".
class starvation {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// Compares this picture with those before.
  /// - One that is passed over is told once. [test: starvation.one_that_is_passed_over_is_told_once]
  /// - A long queue that is served in its order is none. [test: starvation.a_long_queue_served_in_order_is_none]
  /// - One long hold is none. [test: starvation.one_long_hold_is_none]
  [[nodiscard]] std::vector<report> study(const park::picture& seen, time_point now, const settings& wanted);

  /// When the next picture is of use.
  [[nodiscard]] std::optional<time_point> next_look() const noexcept { return next_; }

 private:
  struct wait_id {
    std::uint32_t agent;
    std::uint64_t generation;
    auto operator<=>(const wait_id&) const = default;
  };
  struct holder_stamp {
    std::uint32_t agent = 0;
    std::uint16_t serial = 0;
    bool operator==(const holder_stamp&) const = default;
  };
  struct watched_wait {
    holder_stamp holder;
    unsigned passed_over = 0;
    std::string last_by;
    bool told = false;
  };
  using arrivals = std::unordered_map<std::uint32_t, time_point>;  // waiter -> since

  std::map<wait_id, watched_wait> waits_;
  std::unordered_map<const void*, arrivals> waiting_before_;  // by resource, in the picture before
  std::optional<time_point> next_;
};

}  // namespace heddle::watch
