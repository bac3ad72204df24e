#pragma once

// For tests: feeds a stream to a parser in given pieces and writes down everything that can be seen of it.

#include <heddle/http/parser.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::http::internal {

inline std::string describe(const headers& fields) {
  std::string out;
  for (const auto [name, value] : fields) out.append(name).append("=").append(value).append(";");
  return out;
}

inline std::string_view describe(version spoken) { return spoken == version::http_1_0 ? "1.0" : "1.1"; }

/// `POST /x 1.1 [Host=a;] body`
inline std::string describe(const request& message) {
  return message.method + " " + message.target + " " + std::string(describe(message.version)) + " [" +
         describe(message.headers) + "] " + message.body;
}

/// `200 OK 1.1 [Server=b;] body`
inline std::string describe(const response& message) {
  return std::to_string(message.status) + " " + message.reason + " " + std::string(describe(message.version)) + " [" +
         describe(message.headers) + "] " + message.body;
}

/// Everything that came of a stream: a line per message, then how it stands: `idle`, `open` (inside a message) or the
/// error. With `ended` the parser is told that the connection has ended.
template <typename Parser>
std::string trial(Parser parser, const std::vector<std::string_view>& pieces, bool ended = false) {
  std::string out;
  const auto collect = [&] {
    if (!parser.done()) return;
    out += describe(parser.take()) + "\n";
  };
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      const auto read = parser.feed(piece);
      if (!read) return out + "error: " + std::string(to_string(read.error()));
      piece.remove_prefix(*read);
      if (!piece.empty() && !parser.done()) return out + "bytes left over before the end of the message";
      collect();
    }
  }
  if (ended) {
    const auto fine = parser.finish();
    if (!fine) return out + "error: " + std::string(to_string(fine.error()));
    collect();
  }
  return out + (parser.idle() ? "idle" : "open");
}

/// `text` cut before each of `cuts`, which are sorted here; cuts beyond the end are ignored.
inline std::vector<std::string_view> cut(std::string_view text, std::vector<std::size_t> cuts) {
  std::ranges::sort(cuts);
  std::vector<std::string_view> pieces;
  std::size_t from = 0;
  for (const std::size_t at : cuts) {
    if (at <= from || at >= text.size()) continue;
    pieces.push_back(text.substr(from, at - from));
    from = at;
  }
  pieces.push_back(text.substr(from));
  return pieces;
}

/// `text` in pieces of `size` bytes.
inline std::vector<std::string_view> cut_evenly(std::string_view text, std::size_t size) {
  std::vector<std::string_view> pieces;
  for (std::size_t at = 0; at < text.size(); at += size) pieces.push_back(text.substr(at, size));
  return pieces;
}

}  // namespace heddle::http::internal
