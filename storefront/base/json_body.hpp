#pragma once

#include <heddle/http/message.hpp>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace storefront {

/// Reads a JSON object out of a message's body.
/// @return the object, or the problem to answer with: 400 for what is no JSON object
[[nodiscard]] std::expected<nlohmann::json, heddle::http::response> parse_object(std::string_view body);

/// The integer called `name`.
/// @param least,most the allowed range, both included
/// @return the number, or the problem to answer with: 422 when it is missing, no integer, or out of range
[[nodiscard]] std::expected<std::int64_t, heddle::http::response> integer_member(const nlohmann::json& object,
                                                                                 const char* name, std::int64_t least,
                                                                                 std::int64_t most);

/// The text called `name`.
/// @param longest the most bytes that are allowed; at least one is needed
/// @return the text, or the problem to answer with: 422 when it is missing, no text, empty or too long
[[nodiscard]] std::expected<std::string, heddle::http::response> text_member(const nlohmann::json& object,
                                                                             const char* name, std::size_t longest);

/// The text as JSON writes it, with its quotes.
[[nodiscard]] std::string json_text(std::string_view text);

}  // namespace storefront
