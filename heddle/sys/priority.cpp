#include <heddle/sys/priority.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace heddle::sys {

std::string priority::in_words() const {
  if (rank > 99) return "deadline";
  if (is_real_time()) return "real-time " + std::to_string(rank);
  return "nice " + std::to_string(-rank - 20);
}

std::optional<priority> priority_of(std::uint32_t thread) noexcept {
  char path[48];
  std::snprintf(path, sizeof path, "/proc/self/task/%u/stat", thread);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  char text[512];
  const ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  if (size <= 0) return std::nullopt;
  text[size] = '\0';
  const char* at = std::strrchr(text, ')');  // the name may hold anything; behind it comes field 3
  if (at == nullptr) return std::nullopt;
  ++at;
  for (int field = 3; field < 18; ++field) {
    at = std::strchr(at + 1, ' ');
    if (at == nullptr) return std::nullopt;
  }
  // Ordinary threads: 20 + nice. Real-time ones: -1 - priority. Deadline ones: -101.
  const int kernels = std::atoi(at);
  return priority{kernels < 0 ? -kernels - 1 : -kernels};
}

}  // namespace heddle::sys
