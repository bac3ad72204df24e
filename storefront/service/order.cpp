#include <storefront/service/order.hpp>

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <random>

namespace storefront {

namespace dist = heddle::dist;

namespace {

constexpr std::array<std::string_view, 3> state_names{"reserved", "paid", "cancelled"};

order_state state_of(std::string_view name) noexcept {
  for (std::size_t i = 0; i < state_names.size(); ++i) {
    if (state_names[i] == name) return static_cast<order_state>(i);
  }
  return order_state::cancelled;  // an order in a state that nobody knows is not to be touched
}

// The row's number is the next one because SQLite gives the largest plus one, and what is rolled back gives it back: so
// the journal has no gaps.
dist::store_result<void> write_journal(dist::sql_transaction& transaction, std::string_view id, std::string_view from,
                                       std::string_view to) {
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  auto written = transaction.execute("INSERT INTO journal(order_id, from_state, to_state, at_ns) VALUES (?, ?, ?, ?)",
                                     id, from, to, now);
  if (!written) return std::unexpected{std::move(written).error()};
  return {};
}

}  // namespace

std::string_view to_string(order_state state) noexcept { return state_names[static_cast<std::size_t>(state)]; }

std::string order::json() const {
  return fmt::format(R"({{"id":"{}","state":"{}","customer_id":{},"product_id":{},"quantity":{},"amount_cents":{}}})",
                     id, to_string(state), customer_id, product_id, quantity, amount.cents);
}

std::string new_order_id() {
  thread_local std::mt19937_64 random{(std::uint64_t{std::random_device{}()} << 32U) | std::random_device{}()};
  const auto now =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch());
  return fmt::format("{:014x}{:016x}", now.count(), random());
}

dist::store_result<std::optional<order>> find_order(dist::sql_view& view, std::string_view id) {
  std::optional<order> found;
  auto read = view.each(
      "SELECT customer_id, product_id, quantity, amount_cents, state, version FROM orders WHERE id = ?",
      [&](const dist::sql_row& row) {
        found = order{std::string{id},       row.integer(0),        row.integer(1), row.integer(2),
                      money{row.integer(3)}, state_of(row.text(4)), row.integer(5)};
      },
      id);
  if (!read) return std::unexpected{std::move(read).error()};
  return found;
}

dist::store_result<void> insert_order(dist::sql_transaction& transaction, const order& added) {
  auto written = transaction.execute(
      "INSERT INTO orders(id, customer_id, product_id, quantity, amount_cents, state, version) "
      "VALUES (?, ?, ?, ?, ?, ?, 1)",
      added.id, added.customer_id, added.product_id, added.quantity, added.amount.cents, to_string(added.state));
  if (!written) return std::unexpected{std::move(written).error()};
  return write_journal(transaction, added.id, "", to_string(added.state));
}

dist::store_result<void> move_order(dist::sql_transaction& transaction, const order& read, order_state to) {
  auto written = transaction.execute("UPDATE orders SET state = ?, version = version + 1 WHERE id = ? AND version = ?",
                                     to_string(to), read.id, read.version);
  if (!written) return std::unexpected{std::move(written).error()};
  if (*written != 1) {
    return std::unexpected{dist::store_error{dist::store_errc::stale_fence,
                                             fmt::format("order {} has been written by somebody else", read.id)}};
  }
  return write_journal(transaction, read.id, to_string(read.state), to_string(to));
}

}  // namespace storefront
