#include <heddle/park/internal/slot.hpp>
#include <heddle/park/snapshot.hpp>

#include <bit>
#include <cstring>
#include <limits>
#include <source_location>
#include <string_view>

namespace heddle::park {
namespace {

constexpr int attempts = 8;

std::string place_text(std::source_location place) {
  std::string_view file = place.file_name();
  for (const std::string_view root : {"/heddle/", "/storefront/", "/examples/", "/tests/"}) {
    if (const std::size_t at = file.rfind(root); at != std::string_view::npos) {
      file.remove_prefix(at + 1);
      break;
    }
  }
  return std::string{file} + ':' + std::to_string(place.line());
}

enum class reading : std::uint8_t { no_agent, not_waiting, waiting, torn };

// Places and the names of agents are compiled in. A resource's name may go with the resource, and the holder is read
// from it, so both are read under a pin; a wait that ends before it is pinned is looked at again.
reading read(std::uint32_t index, wait_info& out) {
  record& r = record_at(index);
  for (int i = 0; i < attempts; ++i) {
    const std::uint32_t before = r.sequence.load(std::memory_order_acquire);
    if ((before & 1U) != 0) continue;
    const std::uint32_t info = r.info.load(std::memory_order_acquire);
    const std::uint64_t generation = r.generation.load(std::memory_order_acquire);
    const std::uint64_t address = r.resource.load(std::memory_order_acquire);
    const std::uint64_t made = r.made.load(std::memory_order_acquire);
    const std::uint64_t site = r.site.load(std::memory_order_acquire);
    const std::int64_t since = r.since_ns.load(std::memory_order_acquire);
    const std::int64_t until = r.until_ns.load(std::memory_order_acquire);
    const std::uint32_t thread = r.thread.load(std::memory_order_acquire);
    std::uint64_t name[7] = {};
    for (unsigned w = 0; w < 6; ++w) name[w] = r.name[w].load(std::memory_order_acquire);
    if (r.sequence.load(std::memory_order_relaxed) != before) continue;
    if ((info & 0xffU) == 0) return reading::no_agent;
    if (address == 0) return reading::not_waiting;

    out.agent = index;
    out.kind = static_cast<agent::kind>((info & 0xffU) - 1);
    out.name = std::string{reinterpret_cast<const char*>(name)};
    out.thread = thread;
    out.waits_for = static_cast<resource_kind>(info >> 8 & 0xffU);
    out.resource = reinterpret_cast<const void*>(address);
    const bool named = (info >> 16 & 1U) != 0;
    char resource_name[128];
    std::size_t resource_name_size = 0;
    out.site = place_text(std::bit_cast<std::source_location>(site));
    using clock = std::chrono::steady_clock;
    out.since = clock::time_point{std::chrono::nanoseconds{since}};
    out.until.reset();
    if (until != std::numeric_limits<std::int64_t>::max()) {
      out.until = clock::time_point{std::chrono::nanoseconds{until}};
    }
    out.holder = 0;
    {
      slot& s = slot_at(index);
      const pin pinned{s};
      if (!pinned.holds() || r.generation.load(std::memory_order_acquire) != generation ||
          r.sequence.load(std::memory_order_acquire) != before) {
        continue;
      }
      if (named) {
        const char* text = std::bit_cast<const char*>(made);
        resource_name_size = ::strnlen(text, sizeof resource_name);
        std::memcpy(resource_name, text, resource_name_size);
      }
      if (s.owner_word != nullptr) out.holder = s.owner_word->load(std::memory_order_relaxed) >> s.owner_shift;
    }
    out.resource_name =
        named ? std::string{resource_name, resource_name_size} : place_text(std::bit_cast<std::source_location>(made));
    return reading::waiting;
  }
  return reading::torn;
}

}  // namespace

snapshot snapshot::take() {
  snapshot result;
  const std::uint32_t end = slots_in_use_end();
  for (std::uint32_t index = 1; index < end; ++index) {
    wait_info wait;
    switch (read(index, wait)) {
      case reading::no_agent: break;
      case reading::not_waiting: ++result.agents; break;
      case reading::waiting:
        ++result.agents;
        result.waits.push_back(std::move(wait));
        break;
      case reading::torn:
        ++result.agents;
        ++result.torn;
        break;
    }
  }
  return result;
}

}  // namespace heddle::park
