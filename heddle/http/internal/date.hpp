#pragma once

#include <chrono>
#include <string>

namespace heddle::http::internal {

/// A moment as `Date` wants it: `Sun, 06 Nov 1994 08:49:37 GMT`.
[[nodiscard]] std::string http_date(std::chrono::sys_seconds when);

}  // namespace heddle::http::internal
