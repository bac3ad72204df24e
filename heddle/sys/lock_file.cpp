#include <heddle/sys/lock_file.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace heddle::sys {
namespace {

std::error_code last_error() noexcept { return {errno, std::generic_category()}; }

struct flock whole_file() noexcept {
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  return range;
}

}  // namespace

std::expected<int, std::error_code> open_locked(const std::string& path) noexcept {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return std::unexpected{last_error()};
  struct flock range = whole_file();
  if (::fcntl(descriptor, F_OFD_SETLK, &range) != 0) {
    std::error_code why = last_error();
    if (why == std::errc::permission_denied) why = std::make_error_code(std::errc::resource_unavailable_try_again);
    ::close(descriptor);
    return std::unexpected{why};
  }
  return descriptor;
}

std::expected<bool, std::error_code> is_locked(const std::string& path) noexcept {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) {
    if (errno == ENOENT) return false;
    return std::unexpected{last_error()};
  }
  struct flock range = whole_file();
  const int rc = ::fcntl(descriptor, F_OFD_GETLK, &range);
  const std::error_code why = last_error();
  ::close(descriptor);
  if (rc != 0) return std::unexpected{why};
  return range.l_type != F_UNLCK;
}

void write_content(int descriptor, std::string_view text) noexcept {
  if (::ftruncate(descriptor, 0) != 0) return;
  (void)!::pwrite(descriptor, text.data(), text.size(), 0);
}

std::string read_content(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return {};
  char buffer[256];
  const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
  ::close(descriptor);
  return count > 0 ? std::string(buffer, static_cast<std::size_t>(count)) : std::string{};
}

void close_locked(int descriptor) noexcept { ::close(descriptor); }

void remove_file(const std::string& path) noexcept { ::unlink(path.c_str()); }

std::error_code make_folder(const std::string& path) noexcept {
  if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
  return last_error();
}

}  // namespace heddle::sys
