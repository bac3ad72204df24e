#pragma once

#include <heddle/park/snapshot.hpp>

#include <chrono>
#include <string>

namespace heddle::watch {

/// "task 7 'order 17'", "thread 4".
[[nodiscard]] std::string who(const park::wait_info& agent);

/// "mutex 'ledger'".
[[nodiscard]] std::string what(const park::wait_info& wait);

/// "12.4 ms".
[[nodiscard]] std::string in_words(std::chrono::nanoseconds time);

}  // namespace heddle::watch
