#pragma once

#include <string_view>

namespace storefront {

/// The page at `/`: live figures from /metrics and the waits from /debug/waits, asked for once a second by a few lines of
/// script. It needs no other file.
[[nodiscard]] std::string_view page() noexcept;

}  // namespace storefront
