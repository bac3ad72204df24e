#include <heddle/http/router.hpp>

#include <heddle/base/fatal.hpp>

#include <algorithm>
#include <cstddef>

namespace heddle::http {

namespace {

bool is_name(std::string_view segment) noexcept { return segment.starts_with('{'); }

bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& path) noexcept {
  return std::ranges::equal(pattern, path, [](const std::string& wanted, const std::string& got) {
    return is_name(wanted) ? !got.empty() : wanted == got;
  });
}

// Literal before name at the first segment where they differ in this.
bool more_literal(const std::vector<std::string>& left, const std::vector<std::string>& right) noexcept {
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (is_name(left[i]) != is_name(right[i])) return !is_name(left[i]);
  }
  return false;
}

// Two patterns that fit the same paths.
bool same_shape(const std::vector<std::string>& left, const std::vector<std::string>& right) noexcept {
  return std::ranges::equal(
      left, right, [](const std::string& a, const std::string& b) { return (is_name(a) && is_name(b)) || a == b; });
}

std::vector<std::string> parse_pattern(std::string_view pattern) {
  if (!pattern.starts_with('/')) fatal("an http route's pattern begins with a slash");
  auto parsed = parse_target(pattern);
  if (!parsed || pattern.contains('?')) fatal("an http route's pattern is a path");
  for (const std::string& segment : parsed->segments) {
    const bool braces = segment.contains('{') || segment.contains('}');
    const bool name = segment.size() > 2 && segment.starts_with('{') && segment.find('}') == segment.size() - 1;
    if (braces && !name) fatal("in an http route's pattern a segment is literal or {name}");
  }
  return std::move(parsed->segments);
}

}  // namespace

std::string_view call::value(std::string_view name) const noexcept {
  for (const auto& [key, text] : values) {
    if (key == name) return text;
  }
  return {};
}

void router::add(std::string_view method, std::string_view pattern, http::handler handler, route_options options) {
  route made{std::string(method), parse_pattern(pattern), std::move(handler), options};
  for (const route& other : routes_) {
    if (other.method == made.method && same_shape(other.segments, made.segments)) {
      fatal("an http route was added twice");
    }
  }
  routes_.push_back(std::move(made));
}

router::found router::find(std::string_view method, const http::target& target) const {
  const auto best = [&](std::string_view wanted) {
    const route* chosen = nullptr;
    for (const route& candidate : routes_) {
      if (candidate.method != wanted || !fits(candidate.segments, target.segments)) continue;
      if (chosen == nullptr || more_literal(candidate.segments, chosen->segments)) chosen = &candidate;
    }
    return chosen;
  };
  found result{.match = best(method), .allow = {}, .values = {}};
  if (result.match == nullptr && method == "HEAD") result.match = best("GET");
  if (result.match != nullptr) {
    for (std::size_t i = 0; i < target.segments.size(); ++i) {
      const std::string_view wanted = result.match->segments[i];
      if (is_name(wanted)) result.values.emplace_back(wanted.substr(1, wanted.size() - 2), target.segments[i]);
    }
    return result;
  }
  std::vector<std::string_view> methods;
  for (const route& candidate : routes_) {
    if (!fits(candidate.segments, target.segments)) continue;
    methods.push_back(candidate.method);
    if (candidate.method == "GET") methods.emplace_back("HEAD");
  }
  std::ranges::sort(methods);
  const auto repeated = std::ranges::unique(methods);
  methods.erase(repeated.begin(), repeated.end());
  for (const std::string_view known : methods) result.allow.append(result.allow.empty() ? "" : ", ").append(known);
  return result;
}

}  // namespace heddle::http
