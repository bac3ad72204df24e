#pragma once

#include <heddle/http/message.hpp>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>

namespace heddle::http {

/// What a message may cost. Every limit is inclusive: exactly that much is accepted, one more is refused.
struct limits {
  /// Bytes from the first of the start line through the empty line that ends the head. Empty lines before a request
  /// count; the interim responses (1xx) before a response count; the trailers of a chunked body, with the line of the
  /// last chunk, may take as much again.
  std::size_t max_head_bytes = std::size_t{16} * 1024;
  /// Field lines in the head; the trailers may have as many again.
  std::size_t max_header_count = 100;
  /// Bytes of the body after chunk framing is removed.
  std::size_t max_body_bytes = std::size_t{1024} * 1024;
};

/// Why bytes are not an acceptable message. `status_of` gives the status with which a server answers.
enum class parse_error : std::uint8_t {
  bad_start_line,                 ///< 400: the request or status line is not of the right form
  bad_target,                     ///< 400: the target is not one of the four forms, has a fragment or is not ASCII
  target_too_long,                ///< 414: the request line alone is over the limit of the head
  unsupported_version,            ///< 505: a well-formed version other than 1.0 and 1.1
  bad_line_ending,                ///< 400: a CR without LF or a LF without CR
  bad_byte,                       ///< 400: a control character in the head
  bad_header,                     ///< 400: a field line without colon, without name, or with space before the colon
  obs_fold,                       ///< 400: a field line that begins with white space
  head_too_large,                 ///< 431: more bytes of head than allowed
  too_many_headers,               ///< 431: more field lines than allowed
  bad_host,                       ///< 400: no Host on HTTP/1.1, more than one, or one that is no host
  bad_content_length,             ///< 400: not one plain number, or sent twice
  conflicting_length,             ///< 400: Content-Length and Transfer-Encoding together
  bad_transfer_encoding,          ///< 400: the coding does not end in chunked, is sent twice, or comes on HTTP/1.0
  unsupported_transfer_encoding,  ///< 501: codings before chunked
  bad_chunk,                      ///< 400: broken chunk framing, or trailers that may not be trailers
  body_too_large,                 ///< 413: more bytes of body than allowed
  truncated,                      ///< 400: the connection ended inside the message
  unexpected_upgrade,             ///< 400: a response 101, which nobody asked for
};

/// The status with which a server answers a request that failed like this.
[[nodiscard]] unsigned status_of(parse_error error) noexcept;
/// What is wrong, as one plain phrase.
[[nodiscard]] std::string_view to_string(parse_error error) noexcept;

/// Reads HTTP/1.1 and 1.0 requests from a stream of bytes, however it is cut into pieces.
///
/// - Strict on purpose: whatever two implementations might read differently, and so could smuggle one request inside
///   another, is refused; `parse_error` lists the rules.
///   [test: request_parser.refuses_what_two_readers_could_read_differently_however_it_is_cut]
/// - The verdict depends on the bytes alone, never on the cuts.
///   [test: request_parser.random_cuts_of_long_streams_change_nothing]
/// - No limit is passed by a byte. [test: request_parser.a_head_of_exactly_the_limit_is_read_and_one_byte_more_is_431]
/// - A refused stream cannot be read on: answer, then close.
///   [test: request_parser.repeats_its_error_once_it_has_failed]
///
/// Bytes of an unfinished head are kept; complete ones are read where they lie. Between messages the parser holds no
/// buffer, so an idle connection costs a few hundred bytes. A moved-from parser may only be assigned to or destroyed.
///
/// Thread-safety: none; one connection's reader owns it.   Cost: linear in the bytes, independent of the cuts.
class request_parser {
 public:
  explicit request_parser(limits allowed = {});
  ~request_parser();
  request_parser(request_parser&&) noexcept;
  request_parser& operator=(request_parser&&) noexcept;
  request_parser(const request_parser&) = delete;
  request_parser& operator=(const request_parser&) = delete;

  /// Reads on. Stops behind the last byte of the message, so that what follows (the next pipelined request) stays with
  /// the caller; once `done`, consumes nothing until `take`.
  /// [test: request_parser.pipelined_requests_come_out_one_by_one]
  ///
  /// @return how many of the bytes were consumed (all of them, unless the message is now done), or why this is no
  ///         acceptable message; every later call then returns the same error
  std::expected<std::size_t, parse_error> feed(std::span<const std::byte> bytes);
  /// The same for text.
  std::expected<std::size_t, parse_error> feed(std::string_view text) { return feed(std::as_bytes(std::span(text))); }

  /// Tells that the connection has ended. An error (`truncated`) unless it ended between two messages.
  /// [test: request_parser.an_end_inside_a_request_is_an_error_and_between_two_is_none]
  std::expected<void, parse_error> finish();

  /// True if nothing of the next message has arrived yet; empty lines before it do not count.
  [[nodiscard]] bool idle() const noexcept;
  /// True if the head is complete and acceptable: `message` may be read, its body is still growing.
  [[nodiscard]] bool head_done() const noexcept;
  /// True if the message is complete.
  [[nodiscard]] bool done() const noexcept;

  /// The message so far. Only after `head_done`.
  [[nodiscard]] const request& message() const noexcept;

  /// Hands the complete message over and makes ready for the next one. Only when `done`; otherwise ends the program.
  [[nodiscard]] request take();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

/// Reads HTTP/1.1 and 1.0 responses from a stream of bytes, however it is cut into pieces. The rules, costs and
/// guarantees are those of `request_parser`. Interim responses (1xx) are skipped, and share the head's limit of bytes.
/// [test: response_parser.interim_responses_share_the_limit_of_the_head]
class response_parser {
 public:
  explicit response_parser(limits allowed = {});
  ~response_parser();
  response_parser(response_parser&&) noexcept;
  response_parser& operator=(response_parser&&) noexcept;
  response_parser(const response_parser&) = delete;
  response_parser& operator=(const response_parser&) = delete;

  /// Says that the next response answers a HEAD request and so has no body, whatever its head says. Call it while
  /// `idle`, else the program ends; holds for one response.
  /// [test: response_parser.the_answer_to_head_has_no_body_whatever_it_says]
  void expect_no_body();

  /// As `request_parser::feed`.
  std::expected<std::size_t, parse_error> feed(std::span<const std::byte> bytes);
  /// The same for text.
  std::expected<std::size_t, parse_error> feed(std::string_view text) { return feed(std::as_bytes(std::span(text))); }

  /// Tells that the connection has ended: this completes a body that has no length of its own; anywhere else inside a
  /// message it is an error (`truncated`). [test: response_parser.reads_what_is_well_formed_however_it_is_cut]
  std::expected<void, parse_error> finish();

  /// True if nothing of the next response has arrived yet, not even an interim one.
  [[nodiscard]] bool idle() const noexcept;
  /// True if the final response's head is complete and acceptable.
  [[nodiscard]] bool head_done() const noexcept;
  /// True if the response is complete.
  [[nodiscard]] bool done() const noexcept;
  /// True if only the end of the connection ends this response's body, so that the connection cannot be used again.
  /// Only after `head_done`.
  [[nodiscard]] bool until_close() const noexcept;

  /// The response so far. Only after `head_done`.
  [[nodiscard]] const response& message() const noexcept;

  /// Hands the complete response over and makes ready for the next one. Only when `done`; otherwise ends the program.
  [[nodiscard]] response take();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace heddle::http
