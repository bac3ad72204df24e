#include <heddle/sys/other_process.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>

namespace heddle::sys {
namespace {

std::error_code last_error() noexcept { return {errno, std::generic_category()}; }

struct closed {
  void operator()(DIR* folder) const noexcept { ::closedir(folder); }
};

// What the kernel shows for the path of a memory file.
std::string shown_path(std::string_view name) { return "/memfd:" + std::string{name} + " (deleted)"; }

std::expected<foreign_mapping, std::error_code> map_descriptor(int descriptor, std::size_t most) noexcept {
  struct stat file{};
  if (::fstat(descriptor, &file) != 0) return std::unexpected{last_error()};
  const int seals = ::fcntl(descriptor, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return std::unexpected{std::make_error_code(std::errc::not_supported)};
  const std::size_t bytes = std::min(most, static_cast<std::size_t>(file.st_size));
  if (bytes == 0) return std::unexpected{std::make_error_code(std::errc::not_supported)};
  void* const address = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  if (address == MAP_FAILED) return std::unexpected{last_error()};
  return foreign_mapping{address, bytes, descriptor};
}

}  // namespace

std::expected<foreign_mapping, std::error_code> map_memory_file_of(std::uint32_t process, std::string_view name,
                                                                   std::size_t most) {
  const std::string path = "/proc/" + std::to_string(process) + "/fd";
  const std::unique_ptr<DIR, closed> folder{::opendir(path.c_str())};
  if (folder == nullptr) {
    return std::unexpected{errno == ENOENT ? std::make_error_code(std::errc::no_such_process) : last_error()};
  }
  const std::string wanted = shown_path(name);
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string link = path + '/' + entry->d_name;
    std::array<char, 256> target{};
    const ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
    if (size < 0 || std::string_view{target.data(), static_cast<std::size_t>(size)} != wanted) continue;
    const int descriptor = ::open(link.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return std::unexpected{last_error()};
    auto mapped = map_descriptor(descriptor, most);
    if (!mapped) ::close(descriptor);
    return mapped;
  }
  return std::unexpected{std::make_error_code(std::errc::no_such_file_or_directory)};
}

void unmap(const foreign_mapping& mapping) noexcept {
  ::munmap(const_cast<void*>(mapping.address), mapping.bytes);
  ::close(mapping.descriptor);
}

std::size_t next_with_memory(const foreign_mapping& mapping, std::size_t from) noexcept {
  const off_t found = ::lseek(mapping.descriptor, static_cast<off_t>(from), SEEK_DATA);
  return found < 0 ? mapping.bytes : static_cast<std::size_t>(found);
}

// In pieces that end where pages do: a piece is copied as a whole or not at all.
std::size_t read_memory_of(std::uint32_t process, std::uint64_t address, std::span<std::byte> into) noexcept {
  constexpr std::uint64_t page = 4096;
  std::size_t done = 0;
  while (done < into.size()) {
    const std::uint64_t from = address + done;
    const auto piece = std::min<std::size_t>(into.size() - done, page - from % page);
    const iovec local{into.data() + done, piece};
    const iovec remote{reinterpret_cast<void*>(from), piece};  // NOLINT(performance-no-int-to-ptr)
    const ssize_t count = ::process_vm_readv(static_cast<pid_t>(process), &local, 1, &remote, 1, 0);
    if (count <= 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

}  // namespace heddle::sys
