#include <heddle/dist/internal/sql_connection.hpp>
#include <heddle/dist/internal/test_support.hpp>
#include <heddle/dist/lock_service.hpp>
#include <heddle/park/snapshot.hpp>

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <limits>
#include <thread>

namespace {

using namespace heddle;
using namespace heddle::dist;
using namespace heddle::dist::testing;

struct sqlite_locks : ::testing::Test {
  [[nodiscard]] std::unique_ptr<lock_service> open() { return lock_service::open("sqlite://" + path, pool).value(); }
  scratch folder;
  std::string path = folder / "locks.db";
  thread_pool pool{{.threads = 3, .name = "test"}};
};

TEST_F(sqlite_locks, tokens_rise_over_restarts) {
  std::int64_t last = 0;
  for (int i = 0; i < 3; ++i) {
    const auto locks = open();
    for (int n = 0; n < 2; ++n) {
      auto held = locks->lock_blocking("a");
      ASSERT_TRUE(held);
      EXPECT_EQ(held->token(), last + 1);
      last = held->token();
      if (n == 0) EXPECT_TRUE(held->release_blocking());
    }
  }
}

TEST_F(sqlite_locks, two_services_exclude_each_other) {
  const auto one = open();
  const auto two = open();
  EXPECT_NE(one->owner(), two->owner());
  auto held = one->lock_blocking("a");
  ASSERT_TRUE(held);
  EXPECT_EQ(sync_wait(two->try_lock("a")).error(), lock_error::would_block);
  lock_options how;
  how.until = deadline::after(20ms);
  EXPECT_EQ(sync_wait(two->lock("a", how)).error(), lock_error::timeout);
  EXPECT_EQ(two->stats().waited_remote, 1U);
  EXPECT_TRUE(held->release_blocking());
  const auto then = two->lock_blocking("a");
  ASSERT_TRUE(then);
  EXPECT_EQ(then->token(), 2);
}

TEST_F(sqlite_locks, two_processes_exclude_each_other) {
  const std::string number = folder / "number";
  std::ofstream{number} << 0;
  child one{{"count", path, number, "100"}};
  child two{{"count", path, number, "100"}};
  EXPECT_FALSE(one.line().empty());
  EXPECT_FALSE(two.line().empty());
  EXPECT_EQ(one.wait(), 0);
  EXPECT_EQ(two.wait(), 0);
  int value = 0;
  std::ifstream{number} >> value;
  EXPECT_EQ(value, 200);
}

TEST_F(sqlite_locks, a_killed_holder_is_free_at_once) {
  child holder{{"hold", path, "a", "3600000"}};
  const std::string token = holder.line();
  ASSERT_FALSE(token.empty());
  const auto locks = open();
  EXPECT_EQ(sync_wait(locks->try_lock("a")).error(), lock_error::would_block);
  holder.kill();
  lock_options how;
  how.until = deadline::after(30s);  // the lease itself lasts for an hour
  const auto held = locks->lock_blocking("a", how);
  ASSERT_TRUE(held);
  EXPECT_EQ(held->token(), std::stoll(token) + 1);
  EXPECT_EQ(locks->stats().taken_over, 1U);
}

TEST_F(sqlite_locks, a_waiter_gets_the_lock_of_a_killed_holder) {
  child holder{{"hold", path, "a", "3600000"}};
  ASSERT_FALSE(holder.line().empty());
  const auto locks = open();
  std::thread waiter{[&] { EXPECT_TRUE(locks->lock_blocking("a")); }};
  EXPECT_TRUE(eventually([&] { return locks->stats().waited_remote == 1; }));
  holder.kill();
  waiter.join();
}

TEST_F(sqlite_locks, a_stopped_holder_keeps_its_lock_until_its_lease_ends) {
  child holder{{"hold", path, "a", "500"}};
  const std::string token = holder.line();
  ASSERT_FALSE(token.empty());
  const auto locks = open();
  holder.send_signal(SIGSTOP);
  const auto held = locks->lock_blocking("a");
  ASSERT_TRUE(held);
  EXPECT_GT(held->token(), std::stoll(token));
  EXPECT_EQ(locks->stats().taken_over, 0U);  // its time was over
  holder.send_signal(SIGCONT);
  EXPECT_EQ(sync_wait(locks->try_lock("a")).error(), lock_error::would_block);
}

TEST_F(sqlite_locks, a_lock_of_an_earlier_boot_is_free) {
  const auto locks = open();
  auto connection =
      sql_connection::open(path, sql_access::read_write, sql_sync::full, std::chrono::milliseconds{1000}).value();
  ASSERT_TRUE(connection->script("INSERT INTO heddle_locks VALUES ('a', 41, '" + locks->owner() + "', 'earlier', " +
                                 std::to_string(std::numeric_limits<std::int64_t>::max()) + ")"));
  const auto held = locks->lock_blocking("a");
  ASSERT_TRUE(held);
  EXPECT_EQ(held->token(), 42);
}

TEST_F(sqlite_locks, another_process_in_a_transaction_is_waited_for) {
  const auto locks = open();
  auto other =
      sql_connection::open(path, sql_access::read_write, sql_sync::full, std::chrono::milliseconds{1000}).value();
  ASSERT_TRUE(other->command("BEGIN IMMEDIATE"));
  std::thread waiter{[&] { EXPECT_TRUE(locks->lock_blocking("a")); }};
  EXPECT_TRUE(eventually([&] {
    for (const auto& wait : park::snapshot::take().waits) {
      if (wait.resource_name == "SQLite write lock") return true;
    }
    return false;
  }));
  ASSERT_TRUE(other->command("COMMIT"));
  waiter.join();
}

TEST_F(sqlite_locks, a_lock_file_that_is_no_database_is_refused) {
  std::ofstream{path} << std::string(5000, 'x');
  const auto opened = lock_service::open("sqlite://" + path, pool);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, store_errc::corrupt);
}

}  // namespace
