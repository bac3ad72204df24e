#include <heddle/park/internal/record_view.hpp>

#include <chrono>
#include <limits>

namespace heddle::park {

bool read_record(const record& r, record_view& out) noexcept {
  out.sequence = r.sequence.load(std::memory_order_acquire);
  if ((out.sequence & 1U) != 0) return false;
  out.info = r.info.load(std::memory_order_acquire);
  out.generation = r.generation.load(std::memory_order_acquire);
  out.resource = r.resource.load(std::memory_order_acquire);
  out.made = r.made.load(std::memory_order_acquire);
  out.site = r.site.load(std::memory_order_acquire);
  out.since_ns = r.since_ns.load(std::memory_order_acquire);
  out.until_ns = r.until_ns.load(std::memory_order_acquire);
  out.thread = r.thread.load(std::memory_order_acquire);
  out.owner = r.owner.load(std::memory_order_acquire);
  out.owner_word = r.owner_word.load(std::memory_order_acquire);
  for (unsigned w = 0; w < 6; ++w) out.name[w] = r.name[w].load(std::memory_order_acquire);
  return r.sequence.load(std::memory_order_relaxed) == out.sequence;
}

void record_view::tell(std::uint32_t index, wait_info& out) const {
  using clock = std::chrono::steady_clock;
  out.agent = index;
  out.kind = static_cast<agent::kind>((info & 0xffU) - 1);
  out.name = std::string{reinterpret_cast<const char*>(name)};
  out.thread = thread;
  if (!waits()) return;
  out.waits_for = static_cast<resource_kind>(info >> 8U & 0xffU);
  out.shared = (info >> 17U & 1U) != 0;
  out.resource = reinterpret_cast<const void*>(resource);
  out.since = clock::time_point{std::chrono::nanoseconds{since_ns}};
  out.until.reset();
  if (until_ns != std::numeric_limits<std::int64_t>::max()) {
    out.until = clock::time_point{std::chrono::nanoseconds{until_ns}};
  }
}

}  // namespace heddle::park
