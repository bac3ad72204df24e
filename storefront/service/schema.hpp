#pragma once

#include <storefront/service/catalog.hpp>

#include <heddle/dist/sqlite_store.hpp>
#include <heddle/dist/versioned.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace storefront {

/// The tables of the store, as scripts that are only ever added to.
///
/// For those who read the file themselves: `orders`, `journal` and `charges` are tables; `products` is a view that joins
/// what never changes (`product_facts`) with the stock, which is a versioned record of the library (collection `stock`,
/// key the product's id, value the pieces). The journal has each transition once, its `seq` has no gaps, and the first
/// transition of an order comes from ''.
[[nodiscard]] const std::vector<std::string>& schema();

/// Fills an empty store with products 1 to `count`, with `pieces` of each. Does nothing when there are products. Blocks.
[[nodiscard]] heddle::dist::store_result<void> seed(heddle::dist::sqlite_store& store,
                                                    heddle::dist::versioned& stock_records, std::int64_t count,
                                                    std::int64_t pieces);

/// All products with their stock. Blocks.
[[nodiscard]] heddle::dist::store_result<std::vector<product>> read_products(heddle::dist::sqlite_store& store);

}  // namespace storefront
