#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace heddle::sys {

/// Writes the return addresses of the calling thread's stack, the innermost first, beginning with the return address
/// of the caller. Takes no lock and no memory; not async-signal-safe.
/// @return how many were written.
[[gnu::noinline]] std::size_t call_stack(std::span<const void*> into) noexcept;

/// The program or shared object that an address of code lies in.
struct code_place {
  std::string object;     ///< its path; empty: in none
  std::uintptr_t offset;  ///< from where it was loaded
  std::string symbol;     ///< the mangled name of the nearest symbol that it exports, if any
};
[[nodiscard]] code_place find_code(const void* address);

/// A number that changes whenever a shared object is loaded or unloaded.
[[nodiscard]] std::uint64_t loaded_objects_version() noexcept;

}  // namespace heddle::sys
