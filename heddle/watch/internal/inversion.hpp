#pragma once

#include <heddle/park/internal/picture.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace heddle::watch {

/// Finds waiting threads that rank above whoever holds what they wait for, by the kernel's effective priorities: a
/// holder that inherits its waiter's rank ranks as high, so that a pi_mutex is never told of. One owner.
class inversion {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// - A waiter above its holder is told once, with both ranks. [test: inversion.a_waiter_above_its_holder_is_told_once]
  /// - Equals are nothing. [test: inversion.equals_are_nothing]
  [[nodiscard]] std::vector<report> study(const park::picture& seen, time_point now, const settings& wanted);

  /// When the next picture is of use.
  [[nodiscard]] std::optional<time_point> next_look() const noexcept { return next_; }

 private:
  std::set<std::pair<std::uint32_t, std::uint64_t>> told_;                      // agent, generation
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint32_t> suspected_;  // and whom they wait for
  std::optional<time_point> next_;
};

}  // namespace heddle::watch
