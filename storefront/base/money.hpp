#pragma once

#include <compare>
#include <cstdint>

namespace storefront {

/// An amount of money in cents, so that sums are exact.
struct money {
  std::int64_t cents = 0;

  [[nodiscard]] friend constexpr money operator*(money price, std::int64_t quantity) noexcept {
    return {price.cents * quantity};
  }
  constexpr auto operator<=>(const money&) const noexcept = default;
};

}  // namespace storefront
