#pragma once

#include <span>
#include <string>
#include <vector>

namespace heddle::watch {

/// A return address of this process in words: "storefront/orders.cpp:40 (reserve)".
///
/// Of calls that were inlined into each other the first one outside of the system's and heddle's own headers counts:
/// the user's line, not that of std::lock_guard's constructor. Without debug information: "liborders.so+0x1234
/// (reserve)", with the function as far as symbols tell it; null: empty.
///
/// Thread-safety: any thread. Cost: milliseconds for the first address of a program or shared object, as its debug
/// information is read; then microseconds, as answers are kept. Asks nobody over the network.
/// - It names the user's line and function. [test: symbols.name_the_line_and_the_function]
/// - A guard's constructor is not mistaken for the place. [test: symbols.skip_inlined_guards]
/// - Without debug information it names the object and the offset.
///   [test: symbols.name_the_object_where_there_is_no_debug_information]
/// - What was loaded later is found, too. [test: symbols.find_what_was_loaded_later]
[[nodiscard]] std::string place_of(const void* return_address) noexcept;

/// A stack of return addresses in words, the innermost first, inlined calls resolved; what belongs to heddle or the
/// standard library is left out.
/// - A stack names the user's functions only. [test: symbols.of_a_stack_are_the_users_functions]
[[nodiscard]] std::vector<std::string> places_of(std::span<const void* const> stack) noexcept;

/// The last part of a demangled name, without parameters: "reserve" of "shop::reserve<int>(int)", "lambda in main".
/// - [test: symbols.are_shortened]
[[nodiscard]] std::string short_name(const std::string& demangled);

}  // namespace heddle::watch
