#pragma once

#include <storefront/load/config.hpp>
#include <storefront/load/service_figures.hpp>
#include <storefront/load/tally.hpp>
#include <storefront/load/verify.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace storefront::load {

/// Everything that is known when the load is over.
struct results {
  config settings;
  tally counted;
  std::chrono::duration<double> took{0};
  service_figures before;  ///< the service's own figures when the load began,
  service_figures after;   ///< and when it was over
  acknowledged told;
  std::optional<verdict> stores;

  /// How much a figure of the service has grown.
  [[nodiscard]] std::uint64_t grown(std::string_view name) const;
  [[nodiscard]] std::uint64_t conflicts() const { return grown("storefront_version_conflicts_total"); }
  [[nodiscard]] std::uint64_t contended() const { return grown("storefront_lock_waits_contended_total"); }
  [[nodiscard]] std::uint64_t replays() const { return grown("storefront_idempotent_replays_total"); }

  /// Whether everything that must be true is true.
  [[nodiscard]] bool held() const noexcept;

  /// What is missing for the load to prove anything; empty: nothing.
  [[nodiscard]] std::vector<std::string> what_is_missing() const;
};

/// The table by endpoint, the verdict on each invariant, and where to look next; for people.
[[nodiscard]] std::string text(const results& all);

/// The figures as one line of JSON.
[[nodiscard]] std::string json_line(const results& all);

}  // namespace storefront::load
