#include <heddle/http/internal/line_gate.hpp>

namespace heddle::http::internal {

namespace {

bool blank(char c) noexcept { return c == ' ' || c == '\t'; }

bool control(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

}  // namespace

std::expected<std::size_t, parse_error> line_gate::scan_first_line(std::string_view text) noexcept {
  std::size_t read = 0;
  while (read < text.size() && !first_line_done()) {
    if (auto fine = step(text[read++]); !fine) return std::unexpected(fine.error());
  }
  return read;
}

std::expected<std::size_t, parse_error> line_gate::scan_section(std::string_view text) noexcept {
  std::size_t read = 0;
  while (read < text.size() && !done_) {
    if (auto fine = step(text[read++]); !fine) return std::unexpected(fine.error());
  }
  return read;
}

std::expected<void, parse_error> line_gate::step(char c) noexcept {
  if (++bytes_ > max_bytes_) {
    return std::unexpected(lines_ == 0 ? parse_error::target_too_long : parse_error::head_too_large);
  }
  if (previous_ == '\r') return c == '\n' ? end_line() : std::unexpected(parse_error::bad_line_ending);
  if (c == '\n') return std::unexpected(parse_error::bad_line_ending);
  if (c == '\r') {
    previous_ = c;
    return {};
  }
  if (control(c)) return std::unexpected(parse_error::bad_byte);
  if (lines_ > 0 && line_size_ == 0 && blank(c)) return std::unexpected(parse_error::obs_fold);
  ++line_size_;
  previous_ = c;
  return {};
}

std::expected<void, parse_error> line_gate::end_line() noexcept {
  if (line_size_ == 0) {
    done_ = lines_ > 0;
  } else {
    if (lines_ > max_fields_) return std::unexpected(parse_error::too_many_headers);
    ++lines_;
  }
  line_size_ = 0;
  previous_ = 0;
  return {};
}

}  // namespace heddle::http::internal
