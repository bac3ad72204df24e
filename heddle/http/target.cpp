#include <heddle/http/target.hpp>

#include <cstddef>

namespace heddle::http {

namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool unreserved(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

// Splits at a separator and hands every piece, also empty ones, to `each` until that returns false.
template <typename Each>
bool split(std::string_view text, char separator, Each each) {
  while (true) {
    const std::size_t at = text.find(separator);
    if (!each(text.substr(0, at))) return false;
    if (at == std::string_view::npos) return true;
    text.remove_prefix(at + 1);
  }
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      out.push_back(plus_is_space && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (unreserved(c)) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(digits[byte >> 4U]);
      out.push_back(digits[byte & 15U]);
    }
  }
  return out;
}

std::optional<std::string_view> target::parameter(std::string_view name) const noexcept {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::optional<target> parse_target(std::string_view text) {
  target out;
  if (!text.starts_with('/')) {
    const std::size_t scheme = text.find("://");
    if (scheme != std::string_view::npos && scheme < text.find_first_of("/?")) {
      const std::size_t path = text.find_first_of("/?", scheme + 3);
      text = path == std::string_view::npos ? std::string_view() : text.substr(path);
    }
  }
  const std::size_t mark = text.find('?');
  out.path = text.substr(0, mark);
  if (out.path.empty()) out.path = "/";

  std::string_view path = out.path;
  if (path.starts_with('/')) path.remove_prefix(1);
  const bool decoded = split(path, '/', [&](std::string_view segment) {
    auto plain = percent_decode(segment);
    if (!plain) return false;
    out.segments.push_back(*std::move(plain));
    return true;
  });
  if (!decoded) return std::nullopt;
  if (mark == std::string_view::npos) return out;

  const bool read = split(text.substr(mark + 1), '&', [&](std::string_view pair) {
    if (pair.empty()) return true;
    const std::size_t equals = pair.find('=');
    auto key = percent_decode(pair.substr(0, equals), true);
    auto value = percent_decode(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
    if (!key || !value) return false;
    out.parameters.emplace_back(*std::move(key), *std::move(value));
    return true;
  });
  if (!read) return std::nullopt;
  return out;
}

}  // namespace heddle::http
