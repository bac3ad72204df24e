#include <heddle/base/fatal.hpp>

#include <cstdio>
#include <cstdlib>

namespace heddle {

void fatal(std::string_view message, std::source_location where) noexcept {
  std::fprintf(stderr, "heddle: fatal: %.*s (%s:%u)\n", static_cast<int>(message.size()), message.data(),
               where.file_name(), static_cast<unsigned>(where.line()));
  std::fflush(stderr);
  std::abort();
}

}  // namespace heddle
