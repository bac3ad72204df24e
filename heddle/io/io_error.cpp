#include <heddle/io/io_error.hpp>

#include <cerrno>

namespace heddle::io {

std::string_view to_string(io_errc kind) noexcept {
  switch (kind) {
    case io_errc::timeout: return "timeout";
    case io_errc::stopped: return "stopped";
    case io_errc::closed: return "closed";
    case io_errc::refused: return "refused";
    case io_errc::reset: return "reset";
    case io_errc::address_in_use: return "address_in_use";
    case io_errc::too_many_files: return "too_many_files";
    case io_errc::other: return "other";
  }
  return "unknown";
}

std::string io_error::text() const {
  std::string phrase{operation};
  phrase += ": ";
  phrase += to_string(kind);
  if (code) phrase += " (" + code.message() + ')';
  return phrase;
}

io_error make_io_error(std::error_code code, const char* operation) noexcept {
  io_error error{.kind = io_errc::other, .code = code, .operation = operation, .transferred = 0};
  if (code.category() != std::system_category() && code.category() != std::generic_category()) return error;
  switch (code.value()) {
    case ETIMEDOUT: error.kind = io_errc::timeout; break;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH: error.kind = io_errc::refused; break;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE: error.kind = io_errc::reset; break;
    case EADDRINUSE: error.kind = io_errc::address_in_use; break;
    case EMFILE:
    case ENFILE: error.kind = io_errc::too_many_files; break;
    default: break;
  }
  return error;
}

}  // namespace heddle::io
