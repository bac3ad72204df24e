#pragma once

#include <storefront/base/address.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>

namespace storefront::load {

/// What the command line says.
struct config {
  address target{"127.0.0.1", 8080};
  std::size_t clients = 256;
  std::chrono::milliseconds duration{24'000};
  double rate = 3'600;  ///< requests per second in all, as intended
  std::uint64_t seed = 1;
  std::chrono::milliseconds clean{0};  ///< the bank behaves for so long; what began in that time is counted apart
  std::int64_t customers = 1'000;
  bool expect_crashes = false;          ///< the storefront is killed and started again: broken connections are faults
  std::filesystem::path store;          ///< folder of the storefront's store; empty: nothing is verified
  std::filesystem::path ledger;         ///< the bank's ledger
  std::uint64_t least_paid = 2'000;     ///< fewer paid orders than that prove nothing
  std::uint64_t least_replays = 500;    ///< likewise replays,
  std::uint64_t least_conflicts = 100;  ///< version conflicts,
  std::uint64_t least_contended = 50;   ///< and contended waits for locks
};

/// Reads the command line; prints help or what is wrong, and then ends the program.
[[nodiscard]] config read_command_line(int argc, char** argv);

}  // namespace storefront::load
