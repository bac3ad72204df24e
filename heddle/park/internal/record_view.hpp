#pragma once

#include <heddle/park/internal/slot.hpp>
#include <heddle/park/snapshot.hpp>

#include <cstdint>

namespace heddle::park {

/// A record as it was at one moment; also one of another process, whose addresses mean nothing here.
struct record_view {
  std::uint32_t sequence = 0;
  std::uint32_t info = 0;
  std::uint64_t generation = 0;
  std::uint64_t resource = 0;
  std::uint64_t made = 0;
  std::uint64_t site = 0;
  std::int64_t since_ns = 0;
  std::int64_t until_ns = 0;
  std::uint32_t thread = 0;
  std::uint32_t owner = 0;
  std::uint64_t owner_word = 0;
  std::uint64_t name[7] = {};

  [[nodiscard]] bool is_agent() const noexcept { return (info & 0xffU) != 0; }
  [[nodiscard]] bool waits() const noexcept { return resource != 0; }
  [[nodiscard]] bool named() const noexcept { return (info >> 16U & 1U) != 0; }
  [[nodiscard]] bool breakable() const noexcept { return (info >> 18U & 1U) != 0; }
  [[nodiscard]] bool replaced() const noexcept { return (info >> 19U & 1U) != 0; }

  /// Who it is; and, if it waits, what the record itself says of the wait: no texts, no holder.
  void tell(std::uint32_t index, wait_info& out) const;
};

/// Reads a record once. False: it changed meanwhile.
[[nodiscard]] bool read_record(const record& r, record_view& out) noexcept;

}  // namespace heddle::park
