#pragma once

#include <stdexcept>

namespace storefront {

/// Why a program cannot start or cannot do what it was started for: something for the person who typed the command.
/// what() is one sentence. A program prints it on standard error and ends with startup_error::exit_code.
class startup_error final : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  static constexpr int exit_code = 2;
};

}  // namespace storefront
