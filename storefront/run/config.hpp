#pragma once

#include <cstdint>
#include <string>

namespace storefront::run {

/// What the command line says.
struct config {
  bool once = false;
  bool tour = true;
  double seconds = 30;        ///< of load
  double clean_seconds = 10;  ///< of these, at the beginning, without faults of the bank
  std::size_t clients = 256;
  double rate = 3'600;
  std::uint64_t seed = 1;
  double faults = 5;  ///< percentage of the bank's calls
  std::uint16_t port = 8080;
  std::string store;                 ///< folder to keep; empty: a scratch folder
  std::string unsafe;                ///< passed on to the storefront
  std::uint64_t least_paid = 2'000;  ///< these four are passed on to the load
  std::uint64_t least_replays = 500;
  std::uint64_t least_conflicts = 100;
  std::uint64_t least_contended = 50;
};

/// Reads the command line; prints help or what is wrong, and then ends the program.
[[nodiscard]] config read_command_line(int argc, char** argv);

}  // namespace storefront::run
