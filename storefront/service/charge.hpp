#pragma once

#include <storefront/service/order.hpp>

#include <heddle/dist/sql.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace storefront {

/// A charge that the bank was or is about to be asked for. It is written before the bank is asked, so that whatever
/// happens in between, somebody can ask again with the same bank key and learn whether the money was taken.
struct charge {
  std::string order_id;
  std::string client_key;  ///< the Idempotency-Key of the payment that it belongs to
  std::string bank_key;    ///< what the bank knows it by
  std::string card;        ///< the card's token
  std::string charge_id;   ///< the bank's receipt; empty: nobody knows whether the money was taken

  [[nodiscard]] bool in_doubt() const noexcept { return charge_id.empty(); }
};

/// An order together with its charge, if one was ever begun.
struct order_and_charge {
  std::optional<order> found;
  std::optional<charge> charged;
};

/// Reads both, as of one instant.
[[nodiscard]] heddle::dist::store_result<order_and_charge> find_order_and_charge(heddle::dist::sql_view& view,
                                                                                 std::string_view order_id);

/// Writes a charge in doubt; one that was there for the order is replaced.
[[nodiscard]] heddle::dist::store_result<void> begin_charge(heddle::dist::sql_transaction& transaction,
                                                            const charge& begun);

/// The bank has taken the money: the order is paid, and the charge has its receipt.
[[nodiscard]] heddle::dist::store_result<void> finish_charge(heddle::dist::sql_transaction& transaction,
                                                             const order& paid, std::string_view charge_id);

/// The bank has certainly not taken the money.
[[nodiscard]] heddle::dist::store_result<void> forget_charge(heddle::dist::sql_transaction& transaction,
                                                             std::string_view order_id);

/// The orders whose charge is in doubt.
[[nodiscard]] heddle::dist::store_result<std::vector<std::string>> orders_in_doubt(heddle::dist::sql_view& view);

}  // namespace storefront
