#include <heddle/http/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace heddle::http {

namespace {

bool token_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").contains(c);
}

bool token(std::string_view text) noexcept { return !text.empty() && std::ranges::all_of(text, token_character); }

// What may stand in a field's value and in a reason phrase.
bool printable(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
  });
}

bool target_characters(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

std::string_view version_text(version spoken) noexcept { return spoken == version::http_1_0 ? "HTTP/1.0" : "HTTP/1.1"; }

bool bodyless(unsigned status) noexcept { return status < 200 || status == 204 || status == 304; }

void append_field(std::string_view name, std::string_view value, std::string& out) {
  out.append(name).append(": ").append(value).append("\r\n");
}

std::expected<void, serialize_error> check_fields(const headers& fields, std::size_t body_size, bool chunked) {
  for (const auto [name, value] : fields) {
    if (!token(name)) return std::unexpected(serialize_error::bad_header_name);
    if (!printable(value)) return std::unexpected(serialize_error::bad_header_value);
    if (equal_ignoring_case(name, "transfer-encoding")) return std::unexpected(serialize_error::bad_framing);
    if (equal_ignoring_case(name, "content-length") && (chunked || value != fmt::to_string(body_size))) {
      return std::unexpected(serialize_error::bad_framing);
    }
  }
  return {};
}

// The fields, those that `options` ask for, the length if it is to be said, and the empty line.
void append_fields(const headers& fields, std::size_t body_size, bool say_length, const write_options& options,
                   std::string& out) {
  for (const auto [name, value] : fields) {
    if (!equal_ignoring_case(name, "content-length")) append_field(name, value, out);
  }
  if (!options.date.empty() && !fields.contains("date")) append_field("Date", options.date, out);
  if (options.close && !fields.has_token("connection", "close")) append_field("Connection", "close", out);
  if (options.chunked) {
    append_field("Transfer-Encoding", "chunked", out);
  } else if (say_length) {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", body_size);
  }
  out.append("\r\n");
}

}  // namespace

std::string_view to_string(serialize_error error) noexcept {
  switch (error) {
    case serialize_error::bad_method: return "the method is not a token";
    case serialize_error::bad_target: return "the target has characters that must be encoded";
    case serialize_error::bad_status: return "the status is not within 100 to 999";
    case serialize_error::bad_reason: return "the reason phrase has a control character";
    case serialize_error::bad_header_name: return "a header field's name is not a token";
    case serialize_error::bad_header_value: return "a header field's value has a control character";
    case serialize_error::bad_framing: return "the message's header fields contradict the length of its body";
  }
  return "unknown";
}

std::expected<void, serialize_error> serialize(const request& message, std::string& out, write_options options) {
  if (!token(message.method)) return std::unexpected(serialize_error::bad_method);
  if (!target_characters(message.target)) return std::unexpected(serialize_error::bad_target);
  if (options.chunked && message.version == version::http_1_0) return std::unexpected(serialize_error::bad_framing);
  if (auto fine = check_fields(message.headers, message.body.size(), options.chunked); !fine) return fine;
  if (!options.date.empty() && !printable(options.date)) return std::unexpected(serialize_error::bad_header_value);

  out.append(message.method).append(" ").append(message.target).append(" ").append(version_text(message.version));
  out.append("\r\n");
  const bool meant_to_have_body = message.method == "POST" || message.method == "PUT" || message.method == "PATCH";
  append_fields(message.headers, message.body.size(), !message.body.empty() || meant_to_have_body, options, out);
  if (!options.chunked && !options.omit_body) out.append(message.body);
  return {};
}

std::expected<void, serialize_error> serialize(const response& message, std::string& out, write_options options) {
  if (message.status < 100 || message.status > 999) return std::unexpected(serialize_error::bad_status);
  if (!printable(message.reason)) return std::unexpected(serialize_error::bad_reason);
  const bool without_body = bodyless(message.status);
  if (options.chunked && (message.version == version::http_1_0 || without_body)) {
    return std::unexpected(serialize_error::bad_framing);
  }
  if (auto fine = check_fields(message.headers, message.body.size(), options.chunked); !fine) return fine;
  if (!options.date.empty() && !printable(options.date)) return std::unexpected(serialize_error::bad_header_value);

  fmt::format_to(std::back_inserter(out), "{} {} {}\r\n", version_text(message.version), message.status,
                 message.reason.empty() ? reason_phrase(message.status) : std::string_view(message.reason));
  const bool say_length = !without_body || (message.status == 304 && !message.body.empty());
  append_fields(message.headers, message.body.size(), say_length, options, out);
  if (!options.chunked && !options.omit_body && !without_body) out.append(message.body);
  return {};
}

void append_chunk(std::string_view data, std::string& out) {
  if (data.empty()) return;
  fmt::format_to(std::back_inserter(out), "{:x}\r\n", data.size());
  out.append(data).append("\r\n");
}

void append_last_chunk(std::string& out) { out.append("0\r\n\r\n"); }

}  // namespace heddle::http
