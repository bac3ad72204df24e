#pragma once

#include <heddle/http/headers.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace heddle::http {

/// The versions that are spoken. Anything else is refused by the parser.
enum class version : std::uint8_t { http_1_0 = 10, http_1_1 = 11 };

/// A request with its whole body. Owns everything; a moved-from request is empty.
struct request {
  /// As sent, in the sender's case: methods are case-sensitive.
  std::string method = "GET";
  /// As sent; `parse_target` takes it apart.
  std::string target = "/";
  http::version version = version::http_1_1;
  http::headers headers;
  /// Decoded: without chunk framing. Trailers of a chunked body are checked and dropped.
  std::string body;
};

/// A response with its whole body. Owns everything.
struct response {
  unsigned status = 200;
  /// The reason phrase that came, or empty; when empty, `serialize` writes the usual one.
  std::string reason;
  http::version version = version::http_1_1;
  http::headers headers;
  std::string body;
};

/// True if the sender is content to have the connection kept open after this message: on HTTP/1.1 unless `Connection`
/// says `close`; on HTTP/1.0 only if it says `keep-alive` and not `close`.
/// - By version. [test: message.http_1_1_is_kept_alive_unless_it_says_close,
///   message.http_1_0_is_closed_unless_it_says_keep_alive]
[[nodiscard]] bool keep_alive(const request& message) noexcept;
/// The same for a response. A body that only the close of the connection ends rules reuse out whatever this says:
/// `response_parser::until_close` tells.
[[nodiscard]] bool keep_alive(const response& message) noexcept;

/// True if the client waits for `100 Continue` before it sends the body. Never on HTTP/1.0.
[[nodiscard]] bool expects_continue(const request& message) noexcept;

/// The usual reason phrase of a status code, or an empty string for one that has none.
[[nodiscard]] std::string_view reason_phrase(unsigned status) noexcept;

/// A response whose body is text of the given media type.
[[nodiscard]] response text_response(unsigned status, std::string_view content_type, std::string body);

/// An error as RFC 9457 describes it: content type `application/problem+json`, members `type` (about:blank), `title`,
/// `status` and, unless empty, `detail`. Any bytes may be passed: what is not UTF-8 becomes U+FFFD.
/// - It is as RFC 9457 has it, whatever bytes are passed. [test: message.a_problem_is_json_as_rfc_9457_has_it,
///   message.a_problem_takes_any_bytes]
///
/// @param status   the status code, in the body as well
/// @param title    what went wrong, the same for every occurrence; empty for the status's reason phrase
/// @param detail   what went wrong this time
[[nodiscard]] response problem(unsigned status, std::string_view title = {}, std::string_view detail = {});

}  // namespace heddle::http
