#include <storefront/service/charge.hpp>

namespace storefront {

namespace dist = heddle::dist;

namespace {

dist::store_result<void> changed(dist::store_result<std::int64_t> rows) {
  if (!rows) return std::unexpected{std::move(rows).error()};
  return {};
}

}  // namespace

dist::store_result<order_and_charge> find_order_and_charge(dist::sql_view& view, std::string_view order_id) {
  auto found = find_order(view, order_id);
  if (!found) return std::unexpected{std::move(found).error()};
  order_and_charge both{*std::move(found), std::nullopt};
  auto read = view.each(
      "SELECT client_key, bank_key, card, charge_id FROM charges WHERE order_id = ?",
      [&](const dist::sql_row& row) {
        both.charged = charge{std::string{order_id}, row.get<std::string>(0), row.get<std::string>(1),
                              row.get<std::string>(2), row.get<std::string>(3)};
      },
      order_id);
  if (!read) return std::unexpected{std::move(read).error()};
  return both;
}

dist::store_result<void> begin_charge(dist::sql_transaction& transaction, const charge& begun) {
  return changed(transaction.execute(
      "INSERT OR REPLACE INTO charges(order_id, client_key, bank_key, card, charge_id) VALUES (?, ?, ?, ?, '')",
      begun.order_id, begun.client_key, begun.bank_key, begun.card));
}

dist::store_result<void> finish_charge(dist::sql_transaction& transaction, const order& paid,
                                       std::string_view charge_id) {
  if (auto moved = move_order(transaction, paid, order_state::paid); !moved) return moved;
  return changed(transaction.execute("UPDATE charges SET charge_id = ? WHERE order_id = ?", charge_id, paid.id));
}

dist::store_result<void> forget_charge(dist::sql_transaction& transaction, std::string_view order_id) {
  return changed(transaction.execute("DELETE FROM charges WHERE order_id = ? AND charge_id = ''", order_id));
}

dist::store_result<std::vector<std::string>> orders_in_doubt(dist::sql_view& view) {
  std::vector<std::string> ids;
  auto read = view.each("SELECT order_id FROM charges WHERE charge_id = ''",
                        [&](const dist::sql_row& row) { ids.emplace_back(row.text(0)); });
  if (!read) return std::unexpected{std::move(read).error()};
  return ids;
}

}  // namespace storefront
