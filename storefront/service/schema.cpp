#include <storefront/service/schema.hpp>

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace storefront {

namespace dist = heddle::dist;

const std::vector<std::string>& schema() {
  static const std::vector<std::string> scripts{R"sql(
CREATE TABLE product_facts(
  id            INTEGER PRIMARY KEY,
  name          TEXT NOT NULL,
  price_cents   INTEGER NOT NULL,
  initial_stock INTEGER NOT NULL
);
CREATE TABLE orders(
  id           TEXT PRIMARY KEY,
  customer_id  INTEGER NOT NULL,
  product_id   INTEGER NOT NULL,
  quantity     INTEGER NOT NULL,
  amount_cents INTEGER NOT NULL,
  state        TEXT NOT NULL,
  version      INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE journal(
  seq        INTEGER PRIMARY KEY,
  order_id   TEXT NOT NULL,
  from_state TEXT NOT NULL,
  to_state   TEXT NOT NULL,
  at_ns      INTEGER NOT NULL
);
CREATE TABLE charges(
  order_id   TEXT PRIMARY KEY,
  client_key TEXT NOT NULL,
  bank_key   TEXT NOT NULL,
  card       TEXT NOT NULL,
  charge_id  TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX charges_in_doubt ON charges(order_id) WHERE charge_id = '';
CREATE VIEW products AS
  SELECT f.id, f.name, f.price_cents, f.initial_stock, CAST(s.value AS INTEGER) AS stock, s.version
  FROM product_facts f JOIN heddle_versioned s ON s.collection = 'stock' AND s.key = CAST(f.id AS TEXT);
)sql"};
  return scripts;
}

namespace {

std::string name_of(std::int64_t id) {
  constexpr std::array<std::string_view, 7> yarns{"Linen", "Wool", "Cotton", "Silk", "Hemp", "Alpaca", "Jute"};
  constexpr std::array<std::string_view, 5> things{"yarn", "cloth", "scarf", "blanket", "ribbon"};
  const auto n = static_cast<std::size_t>(id - 1);
  return fmt::format("{} {} no. {}", yarns[n % yarns.size()], things[n / yarns.size() % things.size()], id);
}

}  // namespace

dist::store_result<void> seed(dist::sqlite_store& store, dist::versioned& stock_records, std::int64_t count,
                              std::int64_t pieces) {
  return store.write_blocking([&](dist::sql_transaction& transaction) -> dist::store_result<void> {
    auto there = transaction.one<std::int64_t>("SELECT count(*) FROM product_facts");
    if (!there) return std::unexpected{std::move(there).error()};
    if (std::get<0>(**there) != 0) return {};
    for (std::int64_t id = 1; id <= count; ++id) {
      auto fact =
          transaction.execute("INSERT INTO product_facts(id, name, price_cents, initial_stock) VALUES (?, ?, ?, ?)", id,
                              name_of(id), 199 + id * 37 % 9'800, pieces);
      if (!fact) return std::unexpected{std::move(fact).error()};
      auto level = stock_records.put_in(transaction, std::to_string(id), std::to_string(pieces), 0);
      if (level) continue;
      auto* failure = std::get_if<dist::store_error>(&level.error());
      return std::unexpected{failure != nullptr
                                 ? std::move(*failure)
                                 : dist::store_error{dist::store_errc::constraint, "there is stock without products"}};
    }
    return {};
  });
}

dist::store_result<std::vector<product>> read_products(dist::sqlite_store& store) {
  return store.read_blocking([](dist::sql_view& view) -> dist::store_result<std::vector<product>> {
    std::vector<product> found;
    auto read = view.each(
        "SELECT id, name, price_cents, stock, version FROM products ORDER BY id", [&](const dist::sql_row& row) {
          found.push_back(
              {row.integer(0), row.get<std::string>(1), money{row.integer(2)}, row.integer(3), row.integer(4)});
        });
    if (!read) return std::unexpected{std::move(read).error()};
    return found;
  });
}

}  // namespace storefront
