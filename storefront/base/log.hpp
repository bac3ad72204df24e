#pragma once

namespace storefront {

/// Sends spdlog's default logger to standard error, one line per message that begins with the program's name.
/// @param program static text
/// @param verbose also what is only of interest while looking for a fault
void set_up_log(const char* program, bool verbose);

}  // namespace storefront
