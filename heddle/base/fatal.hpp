#pragma once

#include <source_location>
#include <string_view>

namespace heddle {

/// Ends the program because heddle was misused in a way that cannot be answered by an error.
///
/// Writes one line, `heddle: fatal: <message> (<file>:<line>)`, to standard error and calls std::abort. Never returns,
/// never allocates.
///
/// @param message what was wrong and what would be right, without a full stop.
/// @param where the place that is told to the reader; by default the caller's.
[[noreturn]] void fatal(std::string_view message,
                        std::source_location where = std::source_location::current()) noexcept;

}  // namespace heddle
