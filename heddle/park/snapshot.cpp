#include <heddle/park/internal/picture.hpp>
#include <heddle/park/internal/place.hpp>
#include <heddle/park/internal/record_view.hpp>
#include <heddle/park/internal/slot.hpp>
#include <heddle/park/snapshot.hpp>

#include <bit>
#include <cstring>
#include <source_location>
#include <string_view>

namespace heddle::park {
namespace {

constexpr int attempts = 8;

enum class reading : std::uint8_t { no_agent, read, torn };

void read_holds(std::uint32_t index, agent_view& out) {
  hold now[hold_list::capacity];
  const int n = holds_at(index).read(now);
  out.holds.assign(now, now + (n > 0 ? n : 0));
}

// Places and the names of agents are compiled in. A resource's name may go with the resource, the holder is read from
// it, and the executor goes with whoever waits for it; so these are read under a pin. A wait that ends before it is
// pinned is looked at again.
reading read(std::uint32_t index, agent_view& out) {
  record& r = record_at(index);
  slot& s = slot_at(index);
  for (int i = 0; i < attempts; ++i) {
    record_view seen;
    if (!read_record(r, seen)) continue;
    if (!seen.is_agent()) return reading::no_agent;

    wait_info& wait = out.wait;
    seen.tell(index, wait);
    out.runs_on = std::atomic_ref{s.runs_on}.load(std::memory_order_relaxed);
    out.awaited_by = std::atomic_ref{s.awaited_by}.load(std::memory_order_relaxed);
    out.waits = seen.waits();
    if (!out.waits) {
      read_holds(index, out);
      if (r.sequence.load(std::memory_order_acquire) != seen.sequence) continue;
      return reading::read;
    }

    out.generation = seen.generation;
    out.breakable = seen.breakable();
    out.replaced = seen.replaced();
    char resource_name[128];
    std::size_t resource_name_size = 0;
    wait.site = place_text(std::bit_cast<std::source_location>(seen.site));
    wait.holder = 0;
    {
      const pin pinned{s};
      if (!pinned.holds() || r.generation.load(std::memory_order_acquire) != seen.generation ||
          r.sequence.load(std::memory_order_acquire) != seen.sequence) {
        continue;
      }
      if (seen.named()) {
        const char* text = std::bit_cast<const char*>(seen.made);
        resource_name_size = ::strnlen(text, sizeof resource_name);
        std::memcpy(resource_name, text, resource_name_size);
      }
      if (s.owner_word != nullptr) wait.holder = s.owner_word->load(std::memory_order_relaxed) >> s.owner_shift;
      out.now = phase_of(s.claim.load(std::memory_order_acquire));
      out.blocks_thread = s.item == nullptr;
      if (const executor* where = s.runs_on; where != nullptr) {
        out.executor_name = where->name();
        out.executor_threads = where->threads();
      }
      read_holds(index, out);
    }
    wait.resource_name = seen.named() ? std::string{resource_name, resource_name_size}
                                      : place_text(std::bit_cast<std::source_location>(seen.made));
    return reading::read;
  }
  return reading::torn;
}

}  // namespace

picture picture::take() {
  picture result;
  const std::uint32_t end = slots_in_use_end();
  for (std::uint32_t index = 1; index < end; ++index) {
    agent_view view;
    switch (read(index, view)) {
      case reading::no_agent: break;
      case reading::read: result.agents.push_back(std::move(view)); break;
      case reading::torn: ++result.torn; break;
    }
  }
  return result;
}

snapshot snapshot::take() {
  picture all = picture::take();
  snapshot result;
  result.agents = all.agents.size() + all.torn;
  result.torn = all.torn;
  for (agent_view& each : all.agents) {
    if (each.waits) result.waits.push_back(std::move(each.wait));
  }
  return result;
}

}  // namespace heddle::park
