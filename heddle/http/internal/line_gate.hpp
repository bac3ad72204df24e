#pragma once

#include <heddle/http/parser.hpp>

#include <cstddef>
#include <expected>
#include <string_view>

namespace heddle::http::internal {

/// The rules about bytes and lines that hold before any grammar: it finds where a head, a chunk's line or a trailer
/// section ends, and refuses on the way what the grammar behind it would be lenient about or would have to wait for.
/// Every verdict depends on the bytes alone, never on how they were cut.
///
/// A section is: empty lines (skipped), a first line, field lines, an empty line.
class line_gate {
 public:
  /// @param max_bytes   most bytes of the section, empty lines before it included
  /// @param max_fields  most field lines
  /// @param spent       bytes that count as already read
  line_gate(std::size_t max_bytes, std::size_t max_fields, std::size_t spent = 0) noexcept
      : max_bytes_(max_bytes), max_fields_(max_fields), bytes_(spent) {}

  /// Reads until the first line that is not empty has ended, at most to the end of `text`. `first_line_done` tells.
  /// Returns the number of bytes read.
  std::expected<std::size_t, parse_error> scan_first_line(std::string_view text) noexcept;

  /// Reads until the section has ended, at most to the end of `text`. `section_done` tells. May follow
  /// `scan_first_line`. Returns the number of bytes read.
  std::expected<std::size_t, parse_error> scan_section(std::string_view text) noexcept;

  [[nodiscard]] bool first_line_done() const noexcept { return lines_ > 0; }
  [[nodiscard]] bool section_done() const noexcept { return done_; }
  /// True if nothing but empty lines has been read.
  [[nodiscard]] bool untouched() const noexcept { return lines_ == 0 && line_size_ == 0 && previous_ == 0; }
  /// Sets a new limit for the bytes of the section.
  void allow(std::size_t max_bytes) noexcept { max_bytes_ = max_bytes; }
  /// All bytes read so far, with those said to be spent at the start.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  std::expected<void, parse_error> step(char c) noexcept;
  std::expected<void, parse_error> end_line() noexcept;

  std::size_t max_bytes_;
  std::size_t max_fields_;
  std::size_t bytes_;
  std::size_t lines_ = 0;      // lines that were not empty
  std::size_t line_size_ = 0;  // bytes of the current line, without its CR
  char previous_ = 0;          // the byte before, 0 at the start of a line
  bool done_ = false;
};

}  // namespace heddle::http::internal
