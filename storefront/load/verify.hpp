#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <string>
#include <vector>

namespace storefront::load {

/// One thing that must be true whatever happened, and whether it is.
struct invariant {
  std::string name;
  std::string says;          ///< what was looked at, in numbers
  std::uint64_t broken = 0;  ///< how often it is broken
  std::string first_broken;  ///< the first case, for who has to look for it
};

/// What the service has acknowledged: ids of orders.
struct acknowledged {
  std::vector<std::string> made;
  std::vector<std::string> paid;
  std::vector<std::string> cancelled;
};

/// What the stores themselves say.
struct verdict {
  std::vector<invariant> invariants;
  std::uint64_t paid_orders = 0;
  std::uint64_t orders = 0;
  std::uint64_t transitions = 0;
  std::uint64_t charges = 0;

  [[nodiscard]] std::uint64_t broken(std::string_view name) const noexcept;
  [[nodiscard]] bool held() const noexcept;
};

/// Names of the invariants.
inline constexpr std::string_view stock_is_conserved = "stock is never negative, and conserved";
inline constexpr std::string_view charged_once = "every paid order has one charge of the right amount";
inline constexpr std::string_view no_stray_charge = "no charge is without its paid order";
inline constexpr std::string_view journal_is_whole = "the journal has each transition once and in order";
inline constexpr std::string_view nothing_is_forgotten = "what was acknowledged is in the store";

/// Reads the storefront's store and the bank's ledger, which nobody must be writing to any more. Both are only read.
/// @param told what must be there
/// @return the verdict, or one sentence that says which file could not be read and why
[[nodiscard]] std::expected<verdict, std::string> verify(const std::filesystem::path& store,
                                                         const std::filesystem::path& ledger,
                                                         const acknowledged& told = {});

}  // namespace storefront::load
