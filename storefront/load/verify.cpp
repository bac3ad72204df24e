#include <storefront/load/verify.hpp>

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace storefront::load {

namespace {

struct closes {
  void operator()(sqlite3* db) const noexcept { sqlite3_close(db); }
  void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};

/// Both files behind one connection: the storefront's as `main`, the bank's as `bank`.
class stores {
 public:
  stores(const std::filesystem::path& store, const std::filesystem::path& ledger) {
    sqlite3* opened = nullptr;
    const std::string shop = (store / "store.db").string();
    const int rc = sqlite3_open_v2(shop.c_str(), &opened, SQLITE_OPEN_READONLY, nullptr);
    db_.reset(opened);
    if (rc != SQLITE_OK) throw std::runtime_error{fmt::format("cannot read {}: {}", shop, sqlite3_errmsg(opened))};
    sqlite3_busy_timeout(opened, 5'000);
    if (!std::filesystem::exists(ledger)) throw std::runtime_error{fmt::format("there is no {}", ledger.string())};
    const auto statement = prepare("ATTACH DATABASE ? AS bank");
    sqlite3_bind_text(statement.get(), 1, ledger.c_str(), -1, SQLITE_STATIC);
    if (sqlite3_step(statement.get()) != SQLITE_DONE) fail();
  }

  /// The one number that `sql` asks for.
  std::uint64_t number(const char* sql) {
    std::uint64_t found = 0;
    rows(sql, [&](sqlite3_stmt* row) { found = static_cast<std::uint64_t>(sqlite3_column_int64(row, 0)); });
    return found;
  }

  /// The two columns that `sql` asks for, as texts by texts.
  std::unordered_map<std::string, std::string> texts(const char* sql) {
    auto text = [](sqlite3_stmt* row, int column) {
      return std::string{reinterpret_cast<const char*>(sqlite3_column_text(row, column))};
    };
    std::unordered_map<std::string, std::string> found;
    rows(sql, [&](sqlite3_stmt* row) { found.emplace(text(row, 0), text(row, 1)); });
    return found;
  }

  /// Counts the rows of `sql`, each a case that is broken, whose first column describes it.
  void add_broken(invariant& into, const char* sql) {
    rows(sql, [&](sqlite3_stmt* row) {
      if (into.broken++ == 0) into.first_broken = reinterpret_cast<const char*>(sqlite3_column_text(row, 0));
    });
  }

 private:
  using statement = std::unique_ptr<sqlite3_stmt, closes>;

  statement prepare(const char* sql) {
    sqlite3_stmt* made = nullptr;
    if (sqlite3_prepare_v2(db_.get(), sql, -1, &made, nullptr) != SQLITE_OK) fail();
    return statement{made};
  }

  template <class OnRow>
  void rows(const char* sql, OnRow on_row) {
    const statement read = prepare(sql);
    for (;;) {
      const int rc = sqlite3_step(read.get());
      if (rc == SQLITE_DONE) return;
      if (rc != SQLITE_ROW) fail();
      on_row(read.get());
    }
  }

  [[noreturn]] void fail() { throw std::runtime_error{fmt::format("cannot verify: {}", sqlite3_errmsg(db_.get()))}; }

  std::unique_ptr<sqlite3, closes> db_;
};

invariant check_stock(stores& read) {
  invariant found{
      std::string{stock_is_conserved}, fmt::format("{} products", read.number("SELECT count(*) FROM products")), 0, {}};
  read.add_broken(found, R"sql(
    SELECT 'product ' || p.id || ': ' || p.initial_stock || ' at first, ' || coalesce(o.taken, 0) || ' in orders, ' ||
           p.stock || ' left'
    FROM products p
    LEFT JOIN (SELECT product_id, sum(quantity) AS taken FROM orders WHERE state IN ('reserved', 'paid')
               GROUP BY product_id) o ON o.product_id = p.id
    WHERE p.stock < 0 OR p.stock <> p.initial_stock - coalesce(o.taken, 0))sql");
  return found;
}

invariant check_charged_once(stores& read, std::uint64_t paid) {
  invariant found{std::string{charged_once}, fmt::format("{} paid orders", paid), 0, {}};
  read.add_broken(found, R"sql(
    SELECT 'order ' || o.id || ' over ' || o.amount_cents || ' cents has ' || count(c.bank_key) || ' charges of ' ||
           coalesce(sum(c.amount_cents), 0)
    FROM orders o LEFT JOIN bank.charges c ON c.order_id = o.id
    WHERE o.state = 'paid'
    GROUP BY o.id HAVING count(c.bank_key) <> 1 OR sum(c.amount_cents) <> o.amount_cents)sql");
  return found;
}

invariant check_stray_charges(stores& read, std::uint64_t charges) {
  invariant found{std::string{no_stray_charge}, fmt::format("{} charges", charges), 0, {}};
  read.add_broken(found, R"sql(
    SELECT 'charge ' || c.charge_id || ' is for order ' || c.order_id || ', which is ' || coalesce(o.state, 'not there')
    FROM bank.charges c LEFT JOIN orders o ON o.id = c.order_id
    WHERE o.state IS NULL OR o.state <> 'paid')sql");
  return found;
}

invariant check_journal(stores& read, std::uint64_t transitions) {
  invariant found{std::string{journal_is_whole}, fmt::format("{} transitions", transitions), 0, {}};
  read.add_broken(found, R"sql(
    SELECT 'seq ' || seq || ' follows ' || before
    FROM (SELECT seq, lag(seq, 1, 0) OVER (ORDER BY seq) AS before FROM journal) WHERE seq <> before + 1)sql");
  read.add_broken(found, R"sql(
    SELECT 'order ' || order_id || ' goes from ''' || from_state || ''' though it was ''' || before || ''''
    FROM (SELECT order_id, from_state, lag(to_state, 1, '') OVER (PARTITION BY order_id ORDER BY seq) AS before
          FROM journal) WHERE from_state <> before)sql");
  read.add_broken(found, R"sql(
    SELECT 'order ' || order_id || ' went from ''' || from_state || ''' to ''' || to_state || ''''
    FROM journal WHERE from_state || '>' || to_state NOT IN ('>reserved', 'reserved>paid', 'reserved>cancelled'))sql");
  read.add_broken(found, R"sql(
    SELECT 'order ' || o.id || ' is ' || o.state || ', the journal ends with ' || coalesce(j.to_state, 'nothing')
    FROM orders o LEFT JOIN (SELECT order_id, to_state, max(seq) FROM journal GROUP BY order_id) j ON j.order_id = o.id
    WHERE j.to_state IS NULL OR j.to_state <> o.state)sql");
  read.add_broken(found, R"sql(
    SELECT 'the journal has order ' || order_id || ', which is not there'
    FROM journal WHERE order_id NOT IN (SELECT id FROM orders) GROUP BY order_id)sql");
  return found;
}

invariant check_acknowledged(stores& read, const acknowledged& told) {
  invariant found{std::string{nothing_is_forgotten},
                  fmt::format("{} orders, {} payments and {} cancellations", told.made.size(), told.paid.size(),
                              told.cancelled.size()),
                  0,
                  {}};
  const std::unordered_map<std::string, std::string> states = read.texts("SELECT id, state FROM orders");
  auto check = [&](const std::vector<std::string>& orders, std::string_view wanted) {
    for (const std::string& id : orders) {
      const auto at = states.find(id);
      if (at != states.end() && (wanted.empty() || at->second == wanted)) continue;
      if (found.broken++ != 0) continue;
      found.first_broken = fmt::format("order {} is {}, and was said to be {}", id,
                                       at == states.end() ? "not there" : at->second, wanted.empty() ? "made" : wanted);
    }
  };
  check(told.made, {});
  check(told.paid, "paid");
  check(told.cancelled, "cancelled");
  return found;
}

}  // namespace

std::uint64_t verdict::broken(std::string_view name) const noexcept {
  const auto found = std::ranges::find(invariants, name, &invariant::name);
  return found == invariants.end() ? 0 : found->broken;
}

bool verdict::held() const noexcept {
  return std::ranges::all_of(invariants, [](const auto& i) { return i.broken == 0; });
}

std::expected<verdict, std::string> verify(const std::filesystem::path& store, const std::filesystem::path& ledger,
                                           const acknowledged& told) {
  try {
    stores read{store, ledger};
    verdict found;
    found.orders = read.number("SELECT count(*) FROM orders");
    found.paid_orders = read.number("SELECT count(*) FROM orders WHERE state = 'paid'");
    found.transitions = read.number("SELECT count(*) FROM journal");
    found.charges = read.number("SELECT count(*) FROM bank.charges");
    found.invariants = {check_stock(read), check_charged_once(read, found.paid_orders),
                        check_stray_charges(read, found.charges), check_journal(read, found.transitions),
                        check_acknowledged(read, told)};
    return found;
  } catch (const std::runtime_error& error) {
    return std::unexpected{error.what()};
  }
}

}  // namespace storefront::load
