#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace storefront {

/// Where a program listens, or where it finds another: an IPv4 address, an IPv6 address or "localhost", and a port.
struct address {
  std::string host;
  std::uint16_t port = 0;

  /// "127.0.0.1:8080", or "[::1]:8080" for IPv6.
  [[nodiscard]] std::string text() const;
};

/// Reads `HOST:PORT` or `[IPv6]:PORT`.
/// @return the address, or one phrase that says what is wrong with the text
[[nodiscard]] std::expected<address, std::string> parse_address(std::string_view text);

/// Reads `http://HOST:PORT`, with or without a last slash; without a port it is 80.
/// @return the address, or one phrase that says what is wrong with the text
[[nodiscard]] std::expected<address, std::string> parse_http_url(std::string_view text);

}  // namespace storefront
