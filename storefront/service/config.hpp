#pragma once

#include <storefront/base/address.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>

namespace storefront {

/// Which one call of the library is left out, to prove that the checks of the load notice it.
enum class unsafe : std::uint8_t {
  nothing,         ///< the service as it is meant
  no_lock,         ///< payments and cancellations do not take the lock of their order
  no_idempotency,  ///< payments are not asked for by their key, and each charge has a key of its own
  no_version,      ///< stock is written whatever its version, some time after it was read
};

/// What the command line says.
struct config {
  address listen{"127.0.0.1", 8080};
  std::filesystem::path store = "storefront-data";
  address bank{"127.0.0.1", 8081};
  std::int64_t products = 100;  ///< how many a new store begins with
  std::int64_t stock = 1'000;   ///< pieces of each at the beginning
  storefront::unsafe unsafe = unsafe::nothing;
  int ready_fd = -1;                       ///< where to say that it listens; -1: standard output
  std::chrono::milliseconds drain{5'000};  ///< the longest that ending may take
  bool verbose = false;
};

/// Reads the command line; prints help or what is wrong, and then ends the program.
[[nodiscard]] config read_command_line(int argc, char** argv);

}  // namespace storefront
