#pragma once

#include <filesystem>

namespace storefront::run {

/// Runs the examples one after another, each within a few seconds, and prints their lines.
/// @param programs the folder of the running program; the examples are found from there.
/// @return whether each of them kept its promise
[[nodiscard]] bool give_tour(const std::filesystem::path& programs);

}  // namespace storefront::run
