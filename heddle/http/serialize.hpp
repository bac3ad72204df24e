#pragma once

#include <heddle/http/message.hpp>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace heddle::http {

/// Why a message was not written. Names, values and targets often come from outside, so this is an error, not misuse.
enum class serialize_error : std::uint8_t {
  bad_method,        ///< the method is not a token
  bad_target,        ///< the target is empty or has a space, a control character or a byte above 0x7e
  bad_status,        ///< the status is not within 100 to 999
  bad_reason,        ///< the reason phrase has a control character
  bad_header_name,   ///< a field's name is not a token
  bad_header_value,  ///< a field's value has a control character (CR and LF above all: header injection)
  bad_framing,       ///< the body's length is said otherwise than `serialize` says it
};

/// What is wrong, as one plain phrase.
[[nodiscard]] std::string_view to_string(serialize_error error) noexcept;

/// How a message is written, beside what it contains.
struct write_options {
  /// Leave the body out but say its length: the answer to HEAD.
  bool omit_body = false;
  /// Add `Connection: close`, unless the message has it already.
  bool close = false;
  /// Write the head with `Transfer-Encoding: chunked` and no body; `append_chunk` and `append_last_chunk` follow. Not
  /// for HTTP/1.0 nor for statuses without a body: that is `bad_framing`.
  bool chunked = false;
  /// Value of a `Date` field to add, unless empty or the message has one.
  std::string_view date = {};
};

/// Appends the message's bytes to `out`.
///
/// How long the body is, is said here and nowhere else. `Content-Length` is written from the body's size: for requests
/// if there is a body or the method is POST, PUT or PATCH; for responses always, but for 1xx, 204 and an empty 304.
/// These three get no body either. The message may have a `Content-Length` of its own if it says the same, and must
/// have no `Transfer-Encoding`.
/// - What is written is read back. [test: serialize.what_is_written_is_read_back]
/// - Names, values and request lines cannot be broken out of. [test: serialize.header_injection_is_refused,
///   serialize.a_request_line_cannot_be_broken_out_of]
/// - No other length than the true one can be said. [test: serialize.only_the_true_length_may_be_said]
///
/// @return nothing, or why it was refused; `out` is then as it was before
std::expected<void, serialize_error> serialize(const request& message, std::string& out, write_options options = {});
/// The same for a response.
std::expected<void, serialize_error> serialize(const response& message, std::string& out, write_options options = {});

/// Appends one chunk of a chunked body. An empty `data` appends nothing, because an empty chunk would end the body.
void append_chunk(std::string_view data, std::string& out);
/// Appends the end of a chunked body, without trailers.
void append_last_chunk(std::string& out);

}  // namespace heddle::http
