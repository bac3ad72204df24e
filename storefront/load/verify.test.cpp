#include <storefront/load/verify.hpp>

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace storefront::load {
namespace {

/// Two small stores in which everything is as it must be; each test breaks one thing.
class load_verify : public testing::Test {
 protected:
  load_verify() {
    std::string name = (std::filesystem::temp_directory_path() / "heddle-verify-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    shop(R"sql(
      CREATE TABLE products(id INTEGER PRIMARY KEY, name TEXT, price_cents INTEGER, initial_stock INTEGER,
                            stock INTEGER, version INTEGER);
      CREATE TABLE orders(id TEXT PRIMARY KEY, customer_id INTEGER, product_id INTEGER, quantity INTEGER,
                          amount_cents INTEGER, state TEXT, version INTEGER);
      CREATE TABLE journal(seq INTEGER PRIMARY KEY, order_id TEXT, from_state TEXT, to_state TEXT, at_ns INTEGER);
      INSERT INTO products VALUES (1, 'yarn', 100, 10, 7, 4), (2, 'cloth', 50, 5, 5, 1);
      INSERT INTO orders VALUES ('a', 1, 1, 2, 200, 'paid', 2), ('b', 1, 1, 1, 100, 'reserved', 1),
                                ('c', 1, 2, 3, 150, 'cancelled', 2);
      INSERT INTO journal VALUES (1, 'a', '', 'reserved', 0), (2, 'c', '', 'reserved', 0), (3, 'a', 'reserved', 'paid', 0),
                                 (4, 'b', '', 'reserved', 0), (5, 'c', 'reserved', 'cancelled', 0))sql");
    bank(R"sql(
      CREATE TABLE charges(bank_key TEXT PRIMARY KEY, charge_id TEXT, order_id TEXT, amount_cents INTEGER, card TEXT,
                           at_ns INTEGER);
      INSERT INTO charges VALUES ('k', 'ch_1', 'a', 200, 'card', 0))sql");
  }
  ~load_verify() override { std::filesystem::remove_all(folder_); }

  void shop(const char* sql) { run(folder_ / "store.db", sql); }
  void bank(const char* sql) { run(folder_ / "bank.db", sql); }

  verdict found() {
    auto result = verify(folder_, folder_ / "bank.db", told_);
    EXPECT_TRUE(result) << result.error();
    return result.value_or(verdict{});
  }

  // Only `name` is broken, so many times.
  void expect_broken(std::string_view name, std::uint64_t times) {
    for (const invariant& one : found().invariants) {
      EXPECT_EQ(one.broken, one.name == name ? times : 0) << one.name << ": " << one.first_broken;
    }
  }

  static void run(const std::filesystem::path& file, const char* sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, &error), SQLITE_OK) << error;
    sqlite3_close(db);
  }

  acknowledged told_{.made = {"a", "b", "c"}, .paid = {"a"}, .cancelled = {"c"}};
  std::filesystem::path folder_;
};

TEST_F(load_verify, whole_stores_hold) {
  const verdict all = found();
  EXPECT_TRUE(all.held());
  EXPECT_EQ(all.invariants.size(), 5U);
  EXPECT_EQ(all.orders, 3U);
  EXPECT_EQ(all.paid_orders, 1U);
  EXPECT_EQ(all.transitions, 5U);
  EXPECT_EQ(all.charges, 1U);
}

TEST_F(load_verify, a_lost_stock_update_is_found) {
  shop("UPDATE products SET stock = 8 WHERE id = 1");
  expect_broken(stock_is_conserved, 1);
}

TEST_F(load_verify, negative_stock_is_found) {
  shop("UPDATE products SET stock = -1, initial_stock = 2 WHERE id = 1");
  expect_broken(stock_is_conserved, 1);
}

TEST_F(load_verify, a_double_charge_is_found) {
  bank("INSERT INTO charges VALUES ('k2', 'ch_2', 'a', 200, 'card', 0)");
  expect_broken(charged_once, 1);
}

TEST_F(load_verify, a_charge_of_another_amount_is_found) {
  bank("UPDATE charges SET amount_cents = 199");
  expect_broken(charged_once, 1);
}

TEST_F(load_verify, a_missing_charge_is_found) {
  bank("DELETE FROM charges");
  expect_broken(charged_once, 1);
}

TEST_F(load_verify, a_charge_without_a_paid_order_is_found) {
  bank("INSERT INTO charges VALUES ('k2', 'ch_2', 'b', 100, 'card', 0), ('k3', 'ch_3', 'nobody', 1, 'card', 0)");
  expect_broken(no_stray_charge, 2);
}

TEST_F(load_verify, a_gap_in_the_journal_is_found) {
  shop("UPDATE journal SET seq = 9 WHERE seq = 5");
  expect_broken(journal_is_whole, 1);
}

TEST_F(load_verify, a_transition_twice_is_found) {
  shop("INSERT INTO journal VALUES (6, 'a', 'reserved', 'paid', 0)");
  expect_broken(journal_is_whole, 1);
}

TEST_F(load_verify, a_transition_that_was_not_written_down_is_found) {
  shop("UPDATE orders SET state = 'cancelled' WHERE id = 'b'; UPDATE products SET stock = 8 WHERE id = 1");
  expect_broken(journal_is_whole, 1);
}

TEST_F(load_verify, an_acknowledged_order_that_is_not_there_is_found) {
  told_.made.emplace_back("lost");
  expect_broken(nothing_is_forgotten, 1);
}

TEST_F(load_verify, an_acknowledged_payment_or_cancellation_that_is_not_there_is_found) {
  told_.paid.emplace_back("b");
  told_.cancelled.emplace_back("b");
  expect_broken(nothing_is_forgotten, 2);
}

TEST_F(load_verify, a_store_that_is_not_there_is_told) {
  const auto result = verify(folder_ / "nowhere", folder_ / "bank.db");
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().find("nowhere"), std::string::npos) << result.error();
}

}  // namespace
}  // namespace storefront::load
