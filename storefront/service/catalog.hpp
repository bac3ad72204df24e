#pragma once

#include <storefront/base/money.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace storefront {

/// One product: what never changes, and its stock as far as this process has seen it.
struct product {
  std::int64_t id = 0;
  std::string name;
  money price;
  std::int64_t stock = 0;
  std::int64_t version = 0;  ///< of the stock
};

/// All products in memory. The store has the truth, and only this process writes it, so after each commit the catalog is
/// told and is never behind what was answered.
///
/// Thread-safety: on the loop's thread.
class catalog {
 public:
  /// @param products with ids 1 to n, in order
  explicit catalog(std::vector<product> products) noexcept : products_{std::move(products)} {}

  /// The product, or null.
  [[nodiscard]] const product* find(std::int64_t id) const noexcept;

  /// A commit has left this stock and version. One that comes late changes nothing.
  void committed(std::int64_t id, std::int64_t stock, std::int64_t version);

  /// All products as JSON, `{"products":[…]}`; made anew only after a change.
  [[nodiscard]] const std::string& json();

  [[nodiscard]] std::size_t size() const noexcept { return products_.size(); }

 private:
  std::vector<product> products_;
  std::vector<std::string> pieces_;  // each product's JSON; empty: to be made
  std::string json_;                 // empty: to be made
};

}  // namespace storefront
