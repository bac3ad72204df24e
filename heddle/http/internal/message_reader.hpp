#pragma once

#include <heddle/http/internal/line_gate.hpp>
#include <heddle/http/internal/message_sink.hpp>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace heddle::http::internal {

/// Most bytes of a chunk's line, with the line end of the chunk before it.
inline constexpr std::size_t max_chunk_line_bytes = 1024;

/// Cuts a stream of bytes into the elements of one message after the other: `line_gate` finds the ends, `message_sink`
/// reads the elements. What both parsers are made of.
template <bool IsRequest>
class message_reader {
 public:
  using message_type = message_sink<IsRequest>::message_type;

  explicit message_reader(const limits& allowed) : limits_(allowed) {}

  std::expected<std::size_t, parse_error> feed(std::string_view text) {
    std::size_t read = 0;
    while (!failure_ && read < text.size() && phase_ != phase::done) {
      const auto step = advance(text.substr(read));
      if (!step) {
        fail(step.error());
      } else {
        read += *step;
      }
    }
    if (failure_) return std::unexpected(*failure_);
    return read;
  }

  std::expected<void, parse_error> finish() {
    if (phase_ == phase::body_until_close) {
      sink_->end_of_stream();
      phase_ = phase::done;
    }
    if (!failure_ && !idle() && phase_ != phase::done) fail(parse_error::truncated);
    if (failure_) return std::unexpected(*failure_);
    return {};
  }

  void expect_no_body() noexcept { no_body_ = true; }

  [[nodiscard]] bool idle() const noexcept {
    return phase_ == phase::head && (IsRequest ? gate_.untouched() : gate_.bytes() == 0);
  }
  [[nodiscard]] bool head_done() const noexcept { return phase_ != phase::head; }
  [[nodiscard]] bool done() const noexcept { return phase_ == phase::done; }
  [[nodiscard]] bool until_close() const noexcept { return sink_ && sink_->need_eof(); }
  [[nodiscard]] const message_type& message() const noexcept { return sink_->message; }

  message_type take() {
    message_type taken = std::move(sink_->message);
    sink_.reset();
    no_body_ = false;
    begin_head(0);
    return taken;
  }

 private:
  enum class phase : std::uint8_t { head, sized_body, body_until_close, chunk_line, chunk_data, trailers, done };

  // Reads on in the current element. Always makes progress: returns at least 1.
  std::expected<std::size_t, parse_error> advance(std::string_view text) {
    switch (phase_) {
      case phase::head:
      case phase::trailers: {
        const auto scanned = gate_.scan_section(text);
        return advance_lines(text, scanned, gate_.section_done());
      }
      case phase::chunk_line: {
        const auto scanned = gate_.scan_first_line(text);
        if (!scanned) return std::unexpected(parse_error::bad_chunk);
        return advance_lines(text, scanned, gate_.first_line_done());
      }
      case phase::chunk_data: {
        const auto read = sink_->put_element(text);
        if (read && sink_->chunk_left() == 0) begin_chunk_line();
        return read;
      }
      case phase::sized_body:
      case phase::body_until_close: {
        const auto read = sink_->put_element(text);
        if (read && sink_->is_done()) phase_ = phase::done;
        return read;
      }
      case phase::done: break;
    }
    return 0;
  }

  // The gate has read `scanned` bytes of `text`; if that completes the element, it is read, from where it lies if all
  // of it came at once.
  std::expected<std::size_t, parse_error> advance_lines(std::string_view text,
                                                        std::expected<std::size_t, parse_error> scanned,
                                                        bool complete) {
    if (!scanned) return scanned;
    const std::string_view piece = text.substr(0, *scanned);
    if (!complete || !pending_.empty()) pending_.append(piece);
    if (complete) {
      const auto fine = read_element(pending_.empty() ? piece : std::string_view(pending_));
      if (!fine) return std::unexpected(fine.error());
    }
    return scanned;
  }

  std::expected<void, parse_error> read_element(std::string_view element) {
    if (phase_ == phase::head) return read_head(element);
    const auto read = sink_->put_element(element);
    if (!read) return std::unexpected(read.error());
    if (phase_ == phase::chunk_line && *read == 0) {
      if (!of_size_zero(element)) return std::unexpected(parse_error::bad_chunk);
      // The last chunk: the grammar wants to see it again with its trailers.
      if (pending_.empty()) pending_.assign(element);
      gate_.allow(limits_.max_head_bytes);
      phase_ = phase::trailers;
      return {};
    }
    if (*read != element.size()) return std::unexpected(parse_error::bad_chunk);
    drop_pending();
    phase_ = phase_ == phase::trailers ? phase::done : phase::chunk_data;
    return {};
  }

  // Beast says "more" for the last chunk, but also for an extension whose quotes are open at the end of the line.
  static bool of_size_zero(std::string_view chunk_line) noexcept {
    const std::size_t digits = chunk_line.find_first_not_of("\r\n");
    const std::size_t end = chunk_line.find_first_not_of('0', digits);
    return end > digits && std::string_view(" \t;\r").contains(chunk_line[end]);
  }

  std::expected<void, parse_error> read_head(std::string_view element) {
    if constexpr (IsRequest) {
      while (element.starts_with("\r\n")) element.remove_prefix(2);
    }
    sink_.emplace(limits_, no_body_);
    const auto read = sink_->put_element(element);
    if (!read) return std::unexpected(read.error());
    if (!sink_->head_accepted()) return std::unexpected(parse_error::bad_start_line);
    drop_pending();
    if constexpr (!IsRequest) {
      if (sink_->message.status < 200) {
        sink_.reset();
        begin_head(gate_.bytes());
        return {};
      }
    }
    if (sink_->is_done()) {
      phase_ = phase::done;
    } else if (sink_->chunked()) {
      begin_chunk_line();
    } else {
      phase_ = sink_->need_eof() ? phase::body_until_close : phase::sized_body;
    }
    return {};
  }

  void begin_head(std::size_t spent) noexcept {
    gate_ = line_gate(limits_.max_head_bytes, limits_.max_header_count, spent);
    phase_ = phase::head;
  }

  void begin_chunk_line() noexcept {
    gate_ = line_gate(max_chunk_line_bytes, limits_.max_header_count);
    phase_ = phase::chunk_line;
  }

  // Gives the memory back as well: most of a connection's life is spent waiting for the next message.
  void drop_pending() noexcept { std::string().swap(pending_); }

  void fail(parse_error why) noexcept {
    failure_ = why;
    drop_pending();
  }

  limits limits_;
  line_gate gate_{limits_.max_head_bytes, limits_.max_header_count};
  std::string pending_;  // the current element so far, if it did not come in one piece
  std::optional<message_sink<IsRequest>> sink_;
  std::optional<parse_error> failure_;
  phase phase_ = phase::head;
  bool no_body_ = false;
};

}  // namespace heddle::http::internal
