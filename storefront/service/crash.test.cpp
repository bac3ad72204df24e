// kill -9 in the middle of writes, again and again on one store; then the files are read as they are.

#include <storefront/service/test_support.hpp>

#include <heddle/task/scope.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <csignal>
#include <cstdint>

namespace storefront::test {
namespace {

constexpr int kills = 10;
constexpr int clients = 16;
constexpr std::uint64_t answers_before_a_kill = 150;

// What the service has acknowledged: by order, the state of the last good answer.
struct acknowledged {
  std::map<std::string, std::string> states;
  std::uint64_t answers = 0;

  void note(const heddle::http::response& answer) {
    ++answers;
    if (answer.status != 200 && answer.status != 201) return;
    const json order = json::parse(answer.body);
    states[order.at("id")] = order.at("state");
  }
};

// Orders, and pays or cancels what it has ordered, until the connection breaks.
heddle::task<void> shop_around(browser& web, int number, int round, acknowledged& seen) {
  for (int turn = 0;; ++turn) {
    const json wish{{"customer_id", number + 1}, {"product_id", turn % 3 + 1}, {"quantity", 1 + turn % 2}};
    auto made = co_await web.ask("POST", "/orders", wish.dump());
    if (!made) co_return;
    seen.note(*made);
    if (made->status != 201) continue;
    const std::string path{made->headers.get("Location")};
    if (turn % 4 == 3) continue;
    const bool pays = turn % 4 != 2;
    browser::fields key;
    if (pays) key = {{"Idempotency-Key", fmt::format("{}-{}-{}", round, number, turn)}};
    auto changed = co_await web.ask("POST", path + (pays ? "/pay" : "/cancel"), R"({"card":"4242"})", std::move(key));
    if (!changed) co_return;
    seen.note(*changed);
  }
}

void load_and_kill(service& shop, int round, acknowledged& seen) {
  browser web{shop.port()};
  const std::uint64_t enough = seen.answers + answers_before_a_kill + static_cast<std::uint64_t>(round);
  web.run([](browser& on, service& victim, int nth, acknowledged& all, std::uint64_t until) -> heddle::task<void> {
    co_await heddle::with_scope([&](heddle::scope& children) -> heddle::task<void> {
      for (int number = 0; number < clients; ++number) children.spawn(shop_around(on, number, nth, all));
      while (all.answers < until) co_await heddle::this_task::yield();
      victim.process().signal(SIGKILL);
    });
  }(web, shop, round, seen, enough));
  EXPECT_EQ(shop.process().wait(), -SIGKILL);
}

// The rows of a query, each column as text.
std::vector<std::vector<std::string>> rows(sqlite3* database, const char* sql) {
  std::vector<std::vector<std::string>> found;
  auto add = [](void* into, int columns, char** values, char**) {
    auto& row = static_cast<std::vector<std::vector<std::string>>*>(into)->emplace_back();
    for (int i = 0; i < columns; ++i) row.emplace_back(values[i] != nullptr ? values[i] : "");
    return 0;
  };
  char* error = nullptr;
  EXPECT_EQ(sqlite3_exec(database, sql, add, &found, &error), SQLITE_OK)
      << sql << ": " << (error != nullptr ? error : "");
  sqlite3_free(error);
  return found;
}

void expect_none(sqlite3* database, const char* sql) {
  const auto found = rows(database, sql);
  EXPECT_TRUE(found.empty()) << found.size() << " rows: " << sql << "; first: " << found.front().front();
}

void check_store(const std::filesystem::path& file, const acknowledged& seen, test_bank& gateway) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open_v2(file.c_str(), &database, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
  EXPECT_EQ(rows(database, "PRAGMA integrity_check").front().front(), "ok");

  std::map<std::string, std::string> states;
  for (const auto& row : rows(database, "SELECT id, state FROM orders")) states[row[0]] = row[1];
  for (const auto& [id, state] : seen.states) {
    // A payment or cancellation that was not answered may still have been done.
    EXPECT_TRUE(states.contains(id)) << "an acknowledged order is lost";
    if (state != "reserved") EXPECT_EQ(states[id], state) << id;
  }
  // The journal: no gaps, each transition once, the last one is the order's state.
  expect_none(
      database,
      "SELECT seq FROM journal j WHERE seq > 1 AND NOT EXISTS (SELECT 1 FROM journal p WHERE p.seq = j.seq - 1)");
  EXPECT_EQ(rows(database, "SELECT min(seq) FROM journal").front().front(), "1");
  expect_none(database, "SELECT order_id FROM journal GROUP BY order_id, to_state HAVING count(*) <> 1");
  expect_none(database,
              "SELECT id FROM orders o WHERE (SELECT count(*) FROM journal WHERE order_id = o.id) <> iif(state = "
              "'reserved', 1, 2)");
  expect_none(database,
              "SELECT id FROM orders o WHERE state <> (SELECT to_state FROM journal WHERE order_id = o.id ORDER BY seq "
              "DESC LIMIT 1)");
  expect_none(database, "SELECT order_id FROM journal WHERE from_state = '' AND to_state <> 'reserved'");
  // Stock: never negative, and conserved.
  expect_none(database, "SELECT id FROM products WHERE stock < 0");
  expect_none(database,
              "SELECT p.id FROM products p WHERE initial_stock - stock <> (SELECT coalesce(sum(quantity), 0) FROM "
              "orders WHERE product_id = p.id AND state <> 'cancelled')");

  // Every paid order has one charge of the right amount, and no charge is without its paid order.
  std::map<std::string, std::string> owed;
  for (const auto& row : rows(database, "SELECT id, amount_cents FROM orders WHERE state = 'paid'"))
    owed[row[0]] = row[1];
  EXPECT_GT(owed.size(), 0U);
  for (const auto& [key, charge] : gateway.charges()) {
    EXPECT_TRUE(owed.contains(charge.order_id)) << "a charge without a paid order, or a second one";
    EXPECT_EQ(owed[charge.order_id], std::to_string(charge.amount_cents));
    owed.erase(charge.order_id);
  }
  EXPECT_TRUE(owed.empty()) << owed.size() << " paid orders without a charge";
  sqlite3_close(database);
}

TEST(storefront_crash, ten_kills_in_the_middle_of_writes_lose_nothing_acknowledged) {
  const scratch_folder folder;
  test_bank gateway;
  acknowledged seen;
  for (int round = 0; round < kills; ++round) {
    service shop{folder.path(), gateway.url(), {"--products", "3", "--stock", "1000000"}};
    load_and_kill(shop, round, seen);
  }
  service shop{folder.path(), gateway.url()};
  browser web{shop.port()};
  // Charges that a kill has left in doubt are settled by the service itself.
  for (const auto& [key, charge] : gateway.charges()) {
    EXPECT_TRUE(
        eventually([&] { return json::parse(web.get("/orders/" + charge.order_id).body).at("state") == "paid"; }));
  }
  EXPECT_EQ(shop.stop(), 0);
  EXPECT_GE(seen.answers, kills * answers_before_a_kill);
  check_store(folder.path() / "store.db", seen, gateway);
}

}  // namespace
}  // namespace storefront::test
