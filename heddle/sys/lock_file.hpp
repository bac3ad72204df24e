#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <system_error>

namespace heddle::sys {

/// Opens `path` (made if missing) and takes the kernel's lock on it without waiting. The lock ends with the descriptor,
/// so also when the process is killed; a process forked without exec keeps it, too.
/// @return the descriptor; resource_unavailable_try_again when another has locked it.
/// Source: fcntl(2), F_OFD_SETLK.
[[nodiscard]] std::expected<int, std::error_code> open_locked(const std::string& path) noexcept;

/// Whether some descriptor, in whatever process, holds the lock on `path`. A missing file is not locked.
[[nodiscard]] std::expected<bool, std::error_code> is_locked(const std::string& path) noexcept;

/// Replaces what a file made by open_locked contains.
void write_content(int descriptor, std::string_view text) noexcept;

/// The first 256 bytes of a file; empty when it cannot be read.
[[nodiscard]] std::string read_content(const std::string& path);

/// Closes a descriptor made by open_locked.
void close_locked(int descriptor) noexcept;

/// Removes a file; nothing happens if that is not possible.
void remove_file(const std::string& path) noexcept;

/// Makes a folder; it is no error when it exists.
[[nodiscard]] std::error_code make_folder(const std::string& path) noexcept;

}  // namespace heddle::sys
