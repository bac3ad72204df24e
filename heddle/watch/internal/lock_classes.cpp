#include <heddle/park/internal/place.hpp>
#include <heddle/watch/internal/lock_classes.hpp>

#include <source_location>
#include <string_view>

namespace heddle::watch {
namespace {

// A place in a header that only forwards says where the header is, not who made the lock.
bool forwards(std::string_view file) noexcept {
  return file.empty() || file.starts_with("/usr/") || file.starts_with("/opt/") || file.starts_with('<') ||
         file.ends_with("heddle/sync/guarded.hpp");
}

std::uint64_t add(std::uint64_t hash, std::string_view text) noexcept {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

// Of the text that the locks of one class have in common.
std::uint64_t text_hash(park::held_as how) noexcept {
  if (how.named()) return add(1, how.made().name);
  const std::source_location place = how.made().place;
  return add(2, place.file_name()) + (std::uint64_t{place.line()} << 32U | place.column()) * 0x9e3779b97f4a7c15ULL;
}

}  // namespace

std::uint32_t lock_classes::intern(park::held_as how) noexcept {
  if (const entry known = find(how); known.found()) return known.id;
  const std::uint32_t n = count();
  if (addresses_used_ >= addresses / 4 * 3) return none;

  const std::uint64_t hash = text_hash(how);
  std::uint32_t id = 0;
  while (id < n && classes_[id].text_hash != hash) ++id;
  if (id == max_classes) return none;
  if (id == n) {
    classes_[id].text_hash = hash;
    classes_[id].first_seen = how.bits();
    if (!how.named() && forwards(how.made().place.file_name())) {
      classes_[id].marks.placeless = true;
      tell_apart(id);
    }
    count_.store(n + 1, std::memory_order_relaxed);
  } else {
    any_special_.store(true, std::memory_order_relaxed);  // two addresses for one text
  }

  const std::uint64_t key = key_of(how);
  std::size_t i = first_of(key);
  while (keys_[i].load(std::memory_order_relaxed) != 0) i = (i + 1) % addresses;
  ids_[i].store(id, std::memory_order_relaxed);
  keys_[i].store(key, std::memory_order_release);
  ++addresses_used_;
  return id;
}

std::string lock_classes::text(std::uint32_t id) const {
  const park::held_as how{classes_[id].first_seen};
  return how.named() ? how.made().name : park::place_text(how.made().place);
}

}  // namespace heddle::watch
