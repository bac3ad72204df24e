#pragma once

#include <source_location>

namespace heddle {

/// The name of a resource or, where it has none, the place where it was made; 8 bytes.
///
/// Which of the two it is must be kept by the owner (one bit), so that small resources stay small.
union origin {
  const char* name;
  std::source_location place;

  constexpr explicit origin(const char* static_name) noexcept : name{static_name} {}
  constexpr explicit origin(std::source_location where) noexcept : place{where} {}
};

static_assert(sizeof(origin) == 8);

}  // namespace heddle
