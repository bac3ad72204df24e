#pragma once

#include <cstddef>

namespace heddle::sys {

/// Reserves `bytes` of zeroed private memory whose pages cost nothing until they are touched. Never returns null;
/// fatal when the address space is exhausted. Never freed.
[[nodiscard]] void* reserve_private(std::size_t bytes) noexcept;

/// Lets the system back `bytes` from `address` on with huge pages as they are touched, if it likes to: for large tables
/// whose entries are used in no order. What lies in a huge page only in part keeps small ones.
void prefer_huge_pages(void* address, std::size_t bytes) noexcept;

/// A memory file mapped into this process, which another process can map through /proc/<pid>/fd/<descriptor>.
struct shared_mapping {
  void* address;
  int descriptor;
};

/// Makes a sparse memory file of `bytes` called `name`, whose size never changes, and maps it. Fatal when the system
/// refuses.
[[nodiscard]] shared_mapping map_memory_file(const char* name, std::size_t bytes) noexcept;

/// Moves a mapping of `bytes` from `from` to `to`, in place of the mapping that is there. Fatal when the system refuses.
void move_mapping(void* from, std::size_t bytes, void* to) noexcept;

/// Closes a descriptor made by map_memory_file; its mapping stays.
void close_memory_file(int descriptor) noexcept;

}  // namespace heddle::sys
