#include <heddle/http/parser.hpp>

#include <heddle/base/fatal.hpp>
#include <heddle/http/internal/message_reader.hpp>

namespace heddle::http {

unsigned status_of(parse_error error) noexcept {
  switch (error) {
    case parse_error::target_too_long: return 414;
    case parse_error::unsupported_version: return 505;
    case parse_error::head_too_large:
    case parse_error::too_many_headers: return 431;
    case parse_error::unsupported_transfer_encoding: return 501;
    case parse_error::body_too_large: return 413;
    case parse_error::bad_start_line:
    case parse_error::bad_target:
    case parse_error::bad_line_ending:
    case parse_error::bad_byte:
    case parse_error::bad_header:
    case parse_error::obs_fold:
    case parse_error::bad_host:
    case parse_error::bad_content_length:
    case parse_error::conflicting_length:
    case parse_error::bad_transfer_encoding:
    case parse_error::bad_chunk:
    case parse_error::truncated:
    case parse_error::unexpected_upgrade: return 400;
  }
  return 400;
}

std::string_view to_string(parse_error error) noexcept {
  switch (error) {
    case parse_error::bad_start_line: return "the first line is not that of an HTTP/1.1 message";
    case parse_error::bad_target: return "the request target is malformed";
    case parse_error::target_too_long: return "the request line is too long";
    case parse_error::unsupported_version: return "only HTTP/1.1 and HTTP/1.0 are spoken here";
    case parse_error::bad_line_ending: return "a line does not end in CR LF";
    case parse_error::bad_byte: return "a control character stands in the head";
    case parse_error::bad_header: return "a header field is malformed";
    case parse_error::obs_fold: return "a header field is folded over two lines";
    case parse_error::head_too_large: return "the head is too large";
    case parse_error::too_many_headers: return "there are too many header fields";
    case parse_error::bad_host: return "exactly one valid Host is required";
    case parse_error::bad_content_length: return "Content-Length is not one plain number";
    case parse_error::conflicting_length: return "Content-Length and Transfer-Encoding exclude each other";
    case parse_error::bad_transfer_encoding: return "the only Transfer-Encoding is chunked, on HTTP/1.1";
    case parse_error::unsupported_transfer_encoding: return "no transfer coding but chunked is understood";
    case parse_error::bad_chunk: return "the chunked body is malformed";
    case parse_error::body_too_large: return "the body is too large";
    case parse_error::truncated: return "the connection ended inside the message";
    case parse_error::unexpected_upgrade: return "the protocol was switched without being asked to";
  }
  return "unknown";
}

struct request_parser::state : internal::message_reader<true> {
  using message_reader::message_reader;
};

request_parser::request_parser(limits allowed) : state_(std::make_unique<state>(allowed)) {}
request_parser::~request_parser() = default;
request_parser::request_parser(request_parser&&) noexcept = default;
request_parser& request_parser::operator=(request_parser&&) noexcept = default;

std::expected<std::size_t, parse_error> request_parser::feed(std::span<const std::byte> bytes) {
  return state_->feed({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::expected<void, parse_error> request_parser::finish() { return state_->finish(); }
bool request_parser::idle() const noexcept { return state_->idle(); }
bool request_parser::head_done() const noexcept { return state_->head_done(); }
bool request_parser::done() const noexcept { return state_->done(); }
const request& request_parser::message() const noexcept { return state_->message(); }

request request_parser::take() {
  if (!done()) fatal("http::request_parser::take without a complete request");
  return state_->take();
}

struct response_parser::state : internal::message_reader<false> {
  using message_reader::message_reader;
};

response_parser::response_parser(limits allowed) : state_(std::make_unique<state>(allowed)) {}
response_parser::~response_parser() = default;
response_parser::response_parser(response_parser&&) noexcept = default;
response_parser& response_parser::operator=(response_parser&&) noexcept = default;

void response_parser::expect_no_body() {
  if (!idle()) fatal("http::response_parser::expect_no_body after the response has begun");
  state_->expect_no_body();
}

std::expected<std::size_t, parse_error> response_parser::feed(std::span<const std::byte> bytes) {
  return state_->feed({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::expected<void, parse_error> response_parser::finish() { return state_->finish(); }
bool response_parser::idle() const noexcept { return state_->idle(); }
bool response_parser::head_done() const noexcept { return state_->head_done(); }
bool response_parser::done() const noexcept { return state_->done(); }
bool response_parser::until_close() const noexcept { return state_->until_close(); }
const response& response_parser::message() const noexcept { return state_->message(); }

response response_parser::take() {
  if (!done()) fatal("http::response_parser::take without a complete response");
  return state_->take();
}

}  // namespace heddle::http
