#include <heddle/park/internal/place.hpp>

namespace heddle::park {

std::string place_text(std::string_view file, unsigned line) {
  std::size_t root = 0;
  for (const std::string_view folder : {"/heddle/", "/storefront/", "/examples/", "/tests/"}) {
    const std::size_t at = file.rfind(folder);
    if (at != std::string_view::npos && at + 1 > root) root = at + 1;
  }
  file.remove_prefix(root);
  return std::string{file} + ':' + std::to_string(line);
}

std::string place_text(std::source_location place) { return place_text(place.file_name(), place.line()); }

}  // namespace heddle::park
