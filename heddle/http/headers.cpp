#include <heddle/http/headers.hpp>

#include <algorithm>

namespace heddle::http {

namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trim(std::string_view text) noexcept {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

bool equal_ignoring_case(std::string_view left, std::string_view right) noexcept {
  return std::ranges::equal(left, right, {}, lower, lower);
}

headers::entry headers::store(std::string_view name, std::string_view value) {
  const entry made{static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(name.size()),
                   static_cast<std::uint32_t>(value.size())};
  // A caller may pass views into this very buffer: reserve first would move it from under them.
  std::string joined;
  if (text_.capacity() - text_.size() < name.size() + value.size()) {
    joined.reserve(std::max(2 * text_.capacity(), text_.size() + name.size() + value.size()));
    joined.append(text_).append(name).append(value);
    text_.swap(joined);
  } else {
    text_.append(name).append(value);
  }
  return made;
}

void headers::add(std::string_view name, std::string_view value) { entries_.push_back(store(name, value)); }

void headers::set(std::string_view name, std::string_view value) {
  const auto named = [&](const entry& e) {
    return equal_ignoring_case(std::string_view(text_).substr(e.at, e.name_size), name);
  };
  const auto first = std::ranges::find_if(entries_, named);
  if (first == entries_.end()) return add(name, value);
  entries_.erase(std::remove_if(first + 1, entries_.end(), named), entries_.end());
  *first = store(name, value);
}

std::size_t headers::erase(std::string_view name) {
  return std::erase_if(entries_, [&](const entry& e) {
    return equal_ignoring_case(std::string_view(text_).substr(e.at, e.name_size), name);
  });
}

void headers::clear() noexcept {
  std::string().swap(text_);
  std::vector<entry>().swap(entries_);
}

std::optional<std::string_view> headers::find(std::string_view name) const noexcept {
  for (const field f : *this) {
    if (equal_ignoring_case(f.name, name)) return f.value;
  }
  return std::nullopt;
}

std::string_view headers::get(std::string_view name, std::string_view otherwise) const noexcept {
  return find(name).value_or(otherwise);
}

std::size_t headers::count(std::string_view name) const noexcept {
  std::size_t found = 0;
  for (const field f : *this) found += equal_ignoring_case(f.name, name) ? 1U : 0U;
  return found;
}

bool headers::has_token(std::string_view name, std::string_view token) const noexcept {
  for (const field f : *this) {
    if (!equal_ignoring_case(f.name, name)) continue;
    std::string_view rest = f.value;
    while (true) {
      const std::size_t comma = rest.find(',');
      if (equal_ignoring_case(trim(rest.substr(0, comma)), token)) return true;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return false;
}

headers::field headers::operator[](std::size_t index) const noexcept {
  const entry& e = entries_[index];
  const std::string_view text = text_;
  return {text.substr(e.at, e.name_size), text.substr(e.at + e.name_size, e.value_size)};
}

bool headers::equals(const headers& other) const noexcept {
  if (size() != other.size()) return false;
  for (std::size_t i = 0; i < size(); ++i) {
    if (!equal_ignoring_case((*this)[i].name, other[i].name) || (*this)[i].value != other[i].value) return false;
  }
  return true;
}

}  // namespace heddle::http
