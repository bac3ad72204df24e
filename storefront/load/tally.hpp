#pragma once

#include <storefront/load/histogram.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace storefront::load {

/// What a client can ask for, as it stands in the table.
enum class endpoint : std::uint8_t {
  list_products,
  show_order,
  show_customers,
  show_receipt,
  create_order,
  pay_order,
  cancel_order,
};
inline constexpr std::size_t endpoints = 7;

/// Method and path, as it stands in the table.
[[nodiscard]] std::string_view to_string(endpoint which) noexcept;

/// Whether it changes something.
[[nodiscard]] constexpr bool writes(endpoint which) noexcept { return which >= endpoint::create_order; }

/// How one request ended.
enum class ending : std::uint8_t {
  ok,        ///< with the answer that was due
  injected,  ///< in the way of a fault that was injected: the client dropped it, or the bank misbehaved
  failed,    ///< otherwise
};

/// What came back from one endpoint.
struct endpoint_tally {
  std::uint64_t requests = 0;
  std::uint64_t ok = 0;
  std::uint64_t injected = 0;
  std::map<std::string, std::uint64_t> kinds;   ///< what the answers that were no plain success said, and how often
  std::map<std::string, std::uint64_t> errors;  ///< the same for failures
  histogram clean;                              ///< times of requests that began while the bank behaved
  histogram faulty;                             ///< of those that began while it did not
};

/// What came back from all.
struct tally {
  std::array<endpoint_tally, endpoints> by_endpoint;
  std::uint64_t unanswered = 0;   ///< requests that got no answer, other than those that their client dropped
  std::uint64_t changes = 0;      ///< orders made, paid or cancelled: durable writes that were acknowledged
  std::uint64_t bad_replays = 0;  ///< replays that were not the same bytes
  std::uint64_t replays = 0;      ///< replays that were
  std::uint64_t paid = 0;         ///< payments that were acknowledged

  [[nodiscard]] endpoint_tally& of(endpoint which) noexcept { return by_endpoint[static_cast<std::size_t>(which)]; }

  [[nodiscard]] std::uint64_t requests() const noexcept;
  [[nodiscard]] std::uint64_t ok() const noexcept;
  [[nodiscard]] std::uint64_t injected() const noexcept;
  [[nodiscard]] std::uint64_t errors() const noexcept { return requests() - ok() - injected(); }
};

}  // namespace storefront::load
