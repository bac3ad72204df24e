#pragma once

#include <source_location>
#include <string>
#include <string_view>

namespace heddle::park {

/// "heddle/sync/mutex.cpp:40": a place in the source, without the folder in which the tree stands.
[[nodiscard]] std::string place_text(std::string_view file, unsigned line);
[[nodiscard]] std::string place_text(std::source_location place);

}  // namespace heddle::park
