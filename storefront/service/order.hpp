#pragma once

#include <storefront/base/money.hpp>

#include <heddle/dist/sql.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace storefront {

/// Where an order stands. From reserved it becomes paid or cancelled, and stays that.
enum class order_state : std::uint8_t { reserved, paid, cancelled };

/// The state as it stands in the store and in JSON.
[[nodiscard]] std::string_view to_string(order_state state) noexcept;

/// One order.
struct order {
  std::string id;
  std::int64_t customer_id = 0;
  std::int64_t product_id = 0;
  std::int64_t quantity = 0;
  money amount;
  order_state state = order_state::reserved;
  std::int64_t version = 0;  ///< how often it has been written

  /// The order as a JSON object.
  [[nodiscard]] std::string json() const;
};

/// A new order's id: unique, rising with time so that the store appends, and not to be guessed.
[[nodiscard]] std::string new_order_id();

/// The order, or nothing.
[[nodiscard]] heddle::dist::store_result<std::optional<order>> find_order(heddle::dist::sql_view& view,
                                                                          std::string_view id);

/// Writes a new order and its first transition, '' -> reserved, into the journal.
[[nodiscard]] heddle::dist::store_result<void> insert_order(heddle::dist::sql_transaction& transaction,
                                                            const order& added);

/// Moves an order from the state and version in which it was read to another state, and writes the transition into the
/// journal. `stale_fence` when it has been written since: whoever holds the order's lock never sees that.
[[nodiscard]] heddle::dist::store_result<void> move_order(heddle::dist::sql_transaction& transaction, const order& read,
                                                          order_state to);

}  // namespace storefront
