#include <storefront/bank/ledger.hpp>

#include <storefront/base/startup_error.hpp>

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace storefront::gateway {

namespace dist = heddle::dist;

namespace {

constexpr const char* schema = R"sql(
CREATE TABLE charges(
  bank_key     TEXT PRIMARY KEY,
  charge_id    TEXT NOT NULL,
  order_id     TEXT NOT NULL,
  amount_cents INTEGER NOT NULL,
  card         TEXT NOT NULL,
  at_ns        INTEGER NOT NULL
);
)sql";

using result = dist::store_result<charge_result>;

result charge_in(dist::sql_transaction& transaction, const charge_request& asked) {
  auto found = transaction.one<std::string, std::string, std::int64_t, std::string>(
      "SELECT charge_id, order_id, amount_cents, card FROM charges WHERE bank_key = ?", asked.key);
  if (!found) return std::unexpected{std::move(found).error()};
  if (*found) {
    auto& [id, order_id, cents, card] = **found;
    const bool same = order_id == asked.order_id && cents == asked.amount.cents && card == asked.card;
    return charge_result{same ? charge_result::kind::repeated : charge_result::kind::mismatch, std::move(id)};
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  auto written = transaction.execute(
      "INSERT INTO charges(bank_key, charge_id, order_id, amount_cents, card, at_ns) VALUES (?, '', ?, ?, ?, ?)",
      asked.key, asked.order_id, asked.amount.cents, asked.card,
      std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
  if (!written) return std::unexpected{std::move(written).error()};
  std::string id = fmt::format("ch_{:08}", transaction.last_row_id());
  auto named = transaction.execute("UPDATE charges SET charge_id = ? WHERE bank_key = ?", id, asked.key);
  if (!named) return std::unexpected{std::move(named).error()};
  return charge_result{charge_result::kind::made, std::move(id)};
}

}  // namespace

ledger::ledger(const std::filesystem::path& file, heddle::executor& blocking) {
  auto opened = dist::sqlite_store::open({.path = file.string(), .schema = {schema}, .readers = 1}, blocking);
  if (!opened) throw startup_error{opened.error().text};
  store_ = *std::move(opened);
}

heddle::task<result> ledger::charge(charge_request asked) {
  co_return co_await store_->write(
      [&](dist::sql_transaction& transaction) -> result { return charge_in(transaction, asked); });
}

}  // namespace storefront::gateway
