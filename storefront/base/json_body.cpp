#include <storefront/base/json_body.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace storefront {

namespace http = heddle::http;
using nlohmann::json;

std::expected<json, http::response> parse_object(std::string_view body) {
  json found = json::parse(body, nullptr, false);
  if (found.is_discarded()) return std::unexpected{http::problem(400, "Malformed JSON", "the body is not JSON")};
  if (!found.is_object()) return std::unexpected{http::problem(400, "Malformed JSON", "the body is not an object")};
  return found;
}

std::expected<std::int64_t, http::response> integer_member(const json& object, const char* name, std::int64_t least,
                                                           std::int64_t most) {
  const auto member = object.find(name);
  const bool is_integer = member != object.end() && member->is_number_integer();
  // An unsigned number beyond the signed range would wrap around when it is read as a signed one.
  const bool fits = is_integer && (!member->is_number_unsigned() ||
                                   member->get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX));
  if (!fits || member->get<std::int64_t>() < least || member->get<std::int64_t>() > most) {
    return std::unexpected{
        http::problem(422, "Invalid content", fmt::format("{} must be an integer from {} to {}", name, least, most))};
  }
  return member->get<std::int64_t>();
}

std::expected<std::string, http::response> text_member(const json& object, const char* name, std::size_t longest) {
  const auto member = object.find(name);
  if (member == object.end() || !member->is_string() || member->get_ref<const std::string&>().empty() ||
      member->get_ref<const std::string&>().size() > longest) {
    return std::unexpected{
        http::problem(422, "Invalid content", fmt::format("{} must be a text of 1 to {} bytes", name, longest))};
  }
  return member->get<std::string>();
}

std::string json_text(std::string_view text) { return json(text).dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace storefront
