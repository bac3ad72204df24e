#include <heddle/park/internal/picture.hpp>
#include <heddle/park/internal/place.hpp>
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

enum class reading : std::uint8_t { no_agent, read, torn };

using clock = std::chrono::steady_clock;

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

    wait_info& wait = out.wait;
    wait.agent = index;
    wait.kind = static_cast<agent::kind>((info & 0xffU) - 1);
    wait.name = std::string{reinterpret_cast<const char*>(name)};
    wait.thread = thread;
    out.runs_on = std::atomic_ref{s.runs_on}.load(std::memory_order_relaxed);
    out.awaited_by = std::atomic_ref{s.awaited_by}.load(std::memory_order_relaxed);
    out.waits = address != 0;
    if (!out.waits) {
      read_holds(index, out);
      if (r.sequence.load(std::memory_order_acquire) != before) continue;
      return reading::read;
    }

    out.generation = generation;
    out.breakable = (info >> 18U & 1U) != 0;
    out.replaced = (info >> 19U & 1U) != 0;
    wait.waits_for = static_cast<resource_kind>(info >> 8U & 0xffU);
    wait.shared = (info >> 17U & 1U) != 0;
    wait.resource = reinterpret_cast<const void*>(address);
    const bool named = (info >> 16U & 1U) != 0;
    char resource_name[128];
    std::size_t resource_name_size = 0;
    wait.site = place_text(std::bit_cast<std::source_location>(site));
    wait.since = clock::time_point{std::chrono::nanoseconds{since}};
    wait.until.reset();
    if (until != std::numeric_limits<std::int64_t>::max()) {
      wait.until = clock::time_point{std::chrono::nanoseconds{until}};
    }
    wait.holder = 0;
    {
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
      if (s.owner_word != nullptr) wait.holder = s.owner_word->load(std::memory_order_relaxed) >> s.owner_shift;
      out.now = phase_of(s.claim.load(std::memory_order_acquire));
      out.blocks_thread = s.item == nullptr;
      if (const executor* where = s.runs_on; where != nullptr) {
        out.executor_name = where->name();
        out.executor_threads = where->threads();
      }
      read_holds(index, out);
    }
    wait.resource_name =
        named ? std::string{resource_name, resource_name_size} : place_text(std::bit_cast<std::source_location>(made));
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
