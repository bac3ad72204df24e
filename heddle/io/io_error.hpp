#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace heddle::io {

/// Why an operation of io failed, as far as a program can act on it.
enum class io_errc : std::uint8_t {
  timeout,         ///< the deadline came first, or the network gave up
  stopped,         ///< the stop_token passed to the operation fired first
  closed,          ///< this side has closed the stream or the listener
  refused,         ///< nobody listens at the address, or it cannot be reached
  reset,           ///< the other side has broken the connection off
  address_in_use,  ///< somebody else listens there
  too_many_files,  ///< the process or the system has no descriptor left
  other,           ///< see the code
};

/// The kind's name in lower case: "timeout", "address_in_use", ….
[[nodiscard]] std::string_view to_string(io_errc kind) noexcept;

/// Why an operation of io failed, and what it had done by then. Small; copying it allocates nothing.
struct io_error {
  io_errc kind = io_errc::other;
  std::error_code code;         ///< the system's own error; empty where the system had no part in it
  const char* operation = "";   ///< what failed: "read", "connect to a name", …; static text
  std::size_t transferred = 0;  ///< bytes already written when the operation ended early; 0 for all others

  /// One phrase for people: "connect: refused (Connection refused)".
  /// - It names the operation, the kind and the system's reason. [test: io_error.says_what_failed_and_why]
  [[nodiscard]] std::string text() const;
};

/// The error of a failed system call.
/// - Each of the system's errors that a program acts on has its kind. [test: io_error.sorts_the_errors_of_the_system]
[[nodiscard]] io_error make_io_error(std::error_code code, const char* operation) noexcept;

}  // namespace heddle::io
