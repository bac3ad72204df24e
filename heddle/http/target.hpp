#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace heddle::http {

/// Undoes percent-encoding.
///
/// @param text            the encoded text
/// @param plus_is_space   true for query strings of forms, where `+` stands for a space
/// @return the bytes, or nothing if a `%` is not followed by two hexadecimal digits or stands for a zero byte, which
///         no caller expects inside a string
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

/// Percent-encodes everything but the unreserved characters (letters, digits, `-._~`), so that the result can stand in
/// a path segment or as a query parameter's name or value.
[[nodiscard]] std::string percent_encode(std::string_view text);

/// A request target taken apart. `path` stays encoded, because decoding before the split at `/` would let `%2F` make
/// a segment of its own; `segments` and `parameters` are decoded.
/// - Segments are decoded after the split, and so are parameters. [test: target.segments_are_decoded_after_the_split,
///   target.parameters_are_decoded_after_the_split]
/// - The first of repeated parameters counts. [test: target.the_first_of_repeated_parameters_counts]
/// - Broken encoding is refused. [test: target.broken_encoding_is_refused]
struct target {
  /// The path as sent, without the query; of an absolute target (`http://host/path`) without scheme and host. Never
  /// empty: `/` if nothing was sent, `*` for the asterisk form, `host:port` for the authority form.
  std::string path;
  /// The path's segments, decoded: `/orders/7%2F8/` has `orders`, `7/8` and an empty last one; `/` has one empty one.
  std::vector<std::string> segments;
  /// The query's parameters, decoded, in order of appearance; a parameter without `=` has an empty value.
  std::vector<std::pair<std::string, std::string>> parameters;

  /// The value of the first parameter of that name, or nothing. The view lives as long as this object.
  [[nodiscard]] std::optional<std::string_view> parameter(std::string_view name) const noexcept;
};

/// Takes a request target apart. Returns nothing if its percent-encoding is broken.
[[nodiscard]] std::optional<target> parse_target(std::string_view text);

}  // namespace heddle::http
