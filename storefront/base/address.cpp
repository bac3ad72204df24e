#include <storefront/base/address.hpp>

#include <fmt/format.h>

#include <charconv>

namespace storefront {

namespace {

bool read_port(std::string_view text, std::uint16_t& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string address::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

std::expected<address, std::string> parse_address(std::string_view text) {
  address found;
  const std::size_t colon = text.rfind(':');
  std::string_view host = text.substr(0, colon);
  if (colon == std::string_view::npos || !read_port(text.substr(colon + 1), found.port)) {
    return std::unexpected{fmt::format("`{}` is not HOST:PORT", text)};
  }
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || (!bracketed && host.find(':') != std::string_view::npos)) {
    return std::unexpected{fmt::format("`{}` is not HOST:PORT (IPv6 as [::1]:8080)", text)};
  }
  found.host = host;
  return found;
}

std::expected<address, std::string> parse_http_url(std::string_view text) {
  constexpr std::string_view scheme = "http://";
  if (!text.starts_with(scheme)) return std::unexpected{fmt::format("`{}` does not begin with http://", text)};
  std::string_view rest = text.substr(scheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const bool has_port = rest.rfind(':') != std::string_view::npos && !rest.ends_with(']');
  return parse_address(has_port ? std::string{rest} : fmt::format("{}:80", rest));
}

}  // namespace storefront
