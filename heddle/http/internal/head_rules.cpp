#include <heddle/http/internal/head_rules.hpp>

#include <algorithm>
#include <cstddef>

namespace heddle::http::internal {

namespace {

bool digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The comma that the grammar of a host allows is left out: lists of hosts are written with it.
bool host_character(char c) noexcept {
  return letter(c) || digit(c) || std::string_view("-._~!$&'()*+;=%").contains(c);
}

bool address_character(char c) noexcept {
  return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
}

bool acceptable_port(std::string_view rest) noexcept {
  return rest.empty() || (rest.front() == ':' && std::ranges::all_of(rest.substr(1), digit));
}

// The host and port of a target `http://host[:port][/path]`; empty if it has another form.
std::string_view authority_of(std::string_view target) noexcept {
  const std::size_t colon = target.find("://");
  if (colon == std::string_view::npos) return {};
  const std::string_view scheme = target.substr(0, colon);
  if (!equal_ignoring_case(scheme, "http") && !equal_ignoring_case(scheme, "https")) return {};
  const std::string_view rest = target.substr(colon + 3);
  return rest.substr(0, rest.find_first_of("/?"));
}

}  // namespace

bool acceptable_host(std::string_view value) noexcept {
  if (value.starts_with('[')) {
    const std::size_t end = value.find(']');
    return end != std::string_view::npos && end > 1 &&
           std::ranges::all_of(value.substr(1, end - 1), address_character) && acceptable_port(value.substr(end + 1));
  }
  const std::size_t colon = std::min(value.find(':'), value.size());
  return std::ranges::all_of(value.substr(0, colon), host_character) && acceptable_port(value.substr(colon)) &&
         (colon > 0 || value.empty());
}

bool acceptable_target(std::string_view method, std::string_view target) noexcept {
  if (!std::ranges::all_of(target, [](char c) { return c > ' ' && c < '\x7f' && c != '#'; })) return false;
  if (method == "CONNECT") {
    return acceptable_host(target) && target.size() > 1 && digit(target.back()) && target.contains(':');
  }
  if (target.starts_with('/')) return true;
  if (target == "*") return method == "OPTIONS";
  const std::string_view authority = authority_of(target);
  return !authority.empty() && acceptable_host(authority);
}

std::expected<void, parse_error> check_framing(version spoken, const headers& fields) noexcept {
  const std::size_t lengths = fields.count("content-length");
  const std::size_t codings = fields.count("transfer-encoding");
  if (codings > 0) {
    if (lengths > 0) return std::unexpected(parse_error::conflicting_length);
    if (codings > 1 || spoken != version::http_1_1) return std::unexpected(parse_error::bad_transfer_encoding);
    const std::string_view coding = fields.get("transfer-encoding");
    if (equal_ignoring_case(coding, "chunked")) return {};
    // `gzip, chunked` has a known end, but is not understood; anything else has no end that all would agree on.
    const std::size_t last = coding.find_last_of(", \t");
    const bool ends_in_chunked =
        last != std::string_view::npos && equal_ignoring_case(coding.substr(last + 1), "chunked");
    const bool twice = equal_ignoring_case(coding.substr(0, 7), "chunked");
    return std::unexpected(ends_in_chunked && !twice ? parse_error::unsupported_transfer_encoding
                                                     : parse_error::bad_transfer_encoding);
  }
  if (lengths > 1) return std::unexpected(parse_error::bad_content_length);
  if (lengths == 1) {
    const std::string_view length = fields.get("content-length");
    if (length.empty() || !std::ranges::all_of(length, digit)) return std::unexpected(parse_error::bad_content_length);
  }
  return {};
}

std::expected<void, parse_error> check_request_head(const request& head) noexcept {
  if (auto fine = check_framing(head.version, head.headers); !fine) return fine;
  const std::size_t hosts = head.headers.count("host");
  if (hosts > 1 || (hosts == 0 && head.version == version::http_1_1)) return std::unexpected(parse_error::bad_host);
  if (hosts == 1) {
    const std::string_view host = head.headers.get("host");
    if (!acceptable_host(host)) return std::unexpected(parse_error::bad_host);
    const std::string_view authority = head.target.starts_with('/') ? std::string_view() : authority_of(head.target);
    if (!authority.empty() && !equal_ignoring_case(authority, host)) return std::unexpected(parse_error::bad_host);
  }
  return {};
}

}  // namespace heddle::http::internal
