#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>
#include <system_error>

namespace heddle::sys {

/// A memory file of another process, mapped for reading. To be given back with unmap().
struct foreign_mapping {
  const void* address;
  std::size_t bytes;
  int descriptor;
};

/// Finds the memory file called `name` among the descriptors of a process and maps it, at most its first `most` bytes.
/// @return no_such_process; permission_denied; no_such_file_or_directory when it has no such file; not_supported when
///   the file could shrink, so that reading it were not safe; or why else the system refuses.
[[nodiscard]] std::expected<foreign_mapping, std::error_code> map_memory_file_of(std::uint32_t process,
                                                                                 std::string_view name,
                                                                                 std::size_t most);
void unmap(const foreign_mapping& mapping) noexcept;

/// The first offset from `from` on at which the file has memory; its size when there is none. To read where there is
/// none would give it some.
[[nodiscard]] std::size_t next_with_memory(const foreign_mapping& mapping, std::size_t from) noexcept;

/// Copies memory of another process, which need not be there, in its address space.
/// @return how many bytes could be read from `address` on; 0 also when that is not permitted.
/// Source: process_vm_readv(2).
[[nodiscard]] std::size_t read_memory_of(std::uint32_t process, std::uint64_t address,
                                         std::span<std::byte> into) noexcept;

}  // namespace heddle::sys
