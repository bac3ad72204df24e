#pragma once

#include <heddle/http/message.hpp>
#include <heddle/http/parser.hpp>

#include <expected>
#include <string_view>

namespace heddle::http::internal {

/// The target must have one of the four forms of RFC 9112, section 3.2, consist of visible ASCII and have no fragment.
[[nodiscard]] bool acceptable_target(std::string_view method, std::string_view target) noexcept;

/// True for a Host value that is empty or `host[:port]`, with nothing that could be taken for a second host.
[[nodiscard]] bool acceptable_host(std::string_view value) noexcept;

/// What must hold between the fields of any head, so that all readers agree on where the body ends: one Content-Length
/// that is a plain number, or one Transfer-Encoding that is exactly `chunked` and comes on HTTP/1.1, never both.
[[nodiscard]] std::expected<void, parse_error> check_framing(version spoken, const headers& fields) noexcept;

/// `check_framing`, and: exactly one Host on HTTP/1.1, at most one on 1.0, and the same host as an absolute target's.
[[nodiscard]] std::expected<void, parse_error> check_request_head(const request& head) noexcept;

}  // namespace heddle::http::internal
