#pragma once

#include <heddle/watch/internal/graph.hpp>
#include <heddle/watch/report.hpp>

namespace heddle::watch {

/// The report about a circle.
[[nodiscard]] report describe(const graph::circle& found, std::chrono::steady_clock::time_point now);

}  // namespace heddle::watch
