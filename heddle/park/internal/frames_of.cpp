#include <heddle/park/async_frame.hpp>
#include <heddle/park/internal/frames_of.hpp>
#include <heddle/park/internal/place.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/wait.hpp>

#include <cctype>
#include <string_view>

namespace heddle::park {
namespace {

bool is_of_a_name(char c) noexcept { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '~'; }

// The last part of the name in "task<int> shop::(anonymous namespace)::order::reserve(int, f<void ()>) const [T = int]":
// what stands before the last parentheses outside of others.
std::string_view name_in(std::string_view signature) noexcept {
  std::size_t parameters = std::string_view::npos;
  int depth = 0;
  for (std::size_t i = 0; i < signature.size(); ++i) {
    const char c = signature[i];
    if (c == '[') break;
    if ((c == '(' || c == '<') && depth++ == 0 && c == '(') parameters = i;
    if (c == ')' || c == '>') --depth;
  }
  if (parameters == std::string_view::npos) return signature;
  std::size_t begin = parameters;
  while (begin > 0 && is_of_a_name(signature[begin - 1])) --begin;
  if (begin == parameters) return "lambda";  // operator()
  return signature.substr(begin, parameters - begin);
}

}  // namespace

std::vector<std::source_location> places_of_frames(const async_frame* innermost, std::size_t most) {
  std::vector<std::source_location> places;
  for (const async_frame* each = innermost; each != nullptr && places.size() < most; each = each->awaited_by) {
    if (each->at.line() != 0) places.push_back(each->at);
  }
  return places;
}

std::vector<std::source_location> frames_of(std::uint32_t index, std::uint64_t generation, std::size_t most) {
  slot& s = slot_at(index);
  const pin pinned{s};
  if (!pinned.holds() || generation_of(s.claim.load(std::memory_order_acquire)) != generation || s.item == nullptr) {
    return {};
  }
  return places_of_frames(task_wait::frame_of(*s.item), most);
}

std::string frame_text(const std::source_location& place) {
  return place_text(place) + " (" + std::string{name_in(place.function_name())} + ')';
}

std::vector<std::string> frame_texts(const std::vector<std::source_location>& places) {
  std::vector<std::string> texts;
  texts.reserve(places.size());
  for (const std::source_location& each : places) texts.push_back(frame_text(each));
  return texts;
}

}  // namespace heddle::park
