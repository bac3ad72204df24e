#include <heddle/dist/fence_guard.hpp>
#include <heddle/dist/internal/test_support.hpp>

#include <gtest/gtest.h>

namespace {

using namespace heddle;
using namespace heddle::dist;
using namespace heddle::dist::testing;

TEST(fence_guard, refuses_an_older_token) {
  fence_guard guard;
  EXPECT_EQ(guard.newest(), 0);
  EXPECT_TRUE(guard.admit(3, "a"));
  EXPECT_EQ(guard.admit(2, "a").error(), lock_error::stale_fence);
  EXPECT_EQ(guard.newest(), 3);
  EXPECT_TRUE(guard.admit(7, "b"));
  EXPECT_EQ(guard.admit(3, "a").error(), lock_error::stale_fence);
}

TEST(fence_guard, an_equal_token_needs_the_same_owner) {
  fence_guard guard;
  EXPECT_TRUE(guard.admit(3, "a"));
  EXPECT_TRUE(guard.admit(3, "a"));
  EXPECT_EQ(guard.admit(3, "b").error(), lock_error::stale_fence);
}

TEST(fence_guard, a_stale_job_in_a_store_is_undone) {
  const scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = {"CREATE TABLE t (v INTEGER)"}}};
  ASSERT_TRUE(prepare_fences(*f.store));
  ASSERT_TRUE(prepare_fences(*f.store));
  const auto write = [&](std::int64_t token, std::string_view owner) {
    return f.store->write_blocking([&](sql_transaction& transaction) -> store_result<void> {
      auto done = transaction.execute("INSERT INTO t VALUES (?)", token);
      if (!done) return std::unexpected{done.error()};
      return admit_fenced(transaction, "t", token, owner);
    });
  };
  EXPECT_TRUE(write(2, "a"));
  EXPECT_TRUE(write(2, "a"));
  EXPECT_TRUE(write(5, "b"));
  EXPECT_EQ(write(2, "a").error().code, store_errc::stale_fence);
  EXPECT_EQ(write(5, "a").error().code, store_errc::stale_fence);
  EXPECT_EQ(number(*f.store, "SELECT count(*) FROM t"), 3);
  EXPECT_EQ(number(*f.store, "SELECT sum(v) FROM t"), 9);
}

}  // namespace
