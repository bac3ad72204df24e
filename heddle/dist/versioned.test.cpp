#include <heddle/dist/internal/test_support.hpp>
#include <heddle/dist/versioned.hpp>

#include <gtest/gtest.h>

#include <atomic>

namespace {

using namespace heddle;
using namespace heddle::dist;
using namespace heddle::dist::testing;

using records_store = heddle::dist::versioned;

struct versioned : ::testing::Test {
  std::unique_ptr<records_store> open(versioned_options options = {}) {
    return records_store::open(*f.store, std::move(options)).value();
  }
  scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = {}}};
};

std::string one_more(const versioned_record& record) {
  return std::to_string((record.value.empty() ? 0 : std::stoi(record.value)) + 1);
}

TEST_F(versioned, an_old_version_is_refused) {
  const auto records = open();
  EXPECT_EQ(sync_wait(records->read("a"))->version, 0);
  EXPECT_EQ(sync_wait(records->put("a", "first", 0)).value(), 1);
  EXPECT_EQ(sync_wait(records->put("a", "second", 1)).value(), 2);
  const auto refused = sync_wait(records->put("a", "third", 1));
  ASSERT_FALSE(refused);
  const auto& conflict = std::get<conflict_error>(refused.error());
  EXPECT_EQ(conflict.expected, 1);
  EXPECT_EQ(conflict.actual, 2);
  const auto found = sync_wait(records->read("a"));
  EXPECT_EQ(found->value, "second");
  EXPECT_EQ(found->version, 2);
  EXPECT_EQ(records->stats().conflicts, 1U);
  EXPECT_FALSE(sync_wait(records->put("new", "x", 5)));
}

TEST_F(versioned, any_version_writes_in_any_case) {
  const auto records = open();
  EXPECT_EQ(sync_wait(records->put("a", "1", any_version)).value(), 1);
  EXPECT_EQ(sync_wait(records->put("a", std::string("\0\xff", 2), any_version)).value(), 2);
  EXPECT_EQ(sync_wait(records->read("a"))->value, std::string("\0\xff", 2));
}

TEST_F(versioned, collections_are_apart) {
  const auto one = open({.collection = "one"});
  const auto two = open({.collection = "two"});
  EXPECT_TRUE(sync_wait(one->put("a", "1", 0)));
  EXPECT_EQ(sync_wait(two->read("a"))->version, 0);
}

TEST_F(versioned, no_acknowledged_increment_is_lost) {
  versioned_options how;
  how.retry.attempts = 0;
  how.retry.most = 5ms;
  const auto records = open(how);
  std::atomic<int> acknowledged{0};
  sync_wait(with_scope([&](scope& s) -> task<void> {
    for (int i = 0; i < 20; ++i) {
      s.spawn_on(f.pool, [](records_store& store, std::atomic<int>& done) -> task<void> {
        for (int n = 0; n < 10; ++n) {
          const auto updated = co_await store.update("counter", one_more);
          EXPECT_TRUE(updated);
          if (updated) ++done;
        }
      }(*records, acknowledged));
    }
    co_return;
  }));
  EXPECT_EQ(acknowledged, 200);
  const auto found = sync_wait(records->read("counter"));
  EXPECT_EQ(found->value, "200");
  EXPECT_EQ(found->version, 200);
  EXPECT_GT(records->stats().conflicts, 0U);
}

TEST_F(versioned, without_the_version_updates_are_lost) {  // what the check is good for
  const auto records = open();
  sync_wait(with_scope([&](scope& s) -> task<void> {
    for (int i = 0; i < 20; ++i) {
      s.spawn_on(f.pool, [](records_store& store) -> task<void> {
        for (int n = 0; n < 10; ++n) {
          const auto found = co_await store.read("counter");
          EXPECT_TRUE(co_await store.put("counter", one_more(*found), any_version));
        }
      }(*records));
    }
    co_return;
  }));
  EXPECT_LT(std::stoi(sync_wait(records->read("counter"))->value), 200);
}

TEST_F(versioned, an_update_gives_up_and_says_so) {
  versioned_options how;
  how.retry.attempts = 3;
  const auto records = open(how);
  ASSERT_TRUE(sync_wait(records->put("a", "0", 0)));
  int tried = 0;
  const auto failed = sync_wait(records->update("a", [&](const versioned_record& record) {
    ++tried;
    EXPECT_TRUE(f.store->write_blocking(
        [&](sql_transaction& t) { return records->put_in(t, "a", "taken", any_version).has_value(); }));
    return record.value + "!";
  }));
  ASSERT_FALSE(failed);
  const auto& conflict = std::get<conflict_error>(failed.error());
  EXPECT_EQ(tried, 3);
  EXPECT_EQ(conflict.attempts, 3U);
  EXPECT_EQ(conflict.expected, 3);
  EXPECT_EQ(conflict.actual, 4);
  EXPECT_EQ(records->stats().exhausted, 1U);
}

TEST_F(versioned, an_update_may_leave_the_record_as_it_is) {
  const auto records = open();
  ASSERT_TRUE(sync_wait(records->put("a", "0", 0)));
  const auto same =
      sync_wait(records->update("a", [](const versioned_record&) { return std::optional<std::string>{}; }));
  ASSERT_TRUE(same);
  EXPECT_EQ(same->version, 1);
  EXPECT_EQ(records->stats().writes, 1U);
}

TEST_F(versioned, a_conflict_undoes_the_whole_job) {
  const auto records = open();
  ASSERT_TRUE(sync_wait(records->put("a", "0", 0)));
  ASSERT_TRUE(sync_wait(records->put("b", "0", 0)));
  ASSERT_TRUE(sync_wait(records->put("b", "1", 1)));
  const auto both = sync_wait(f.store->write([&](sql_transaction& t) -> versioned_result<std::int64_t> {
    if (auto a = records->put_in(t, "a", "mine", 1); !a) return a;
    return records->put_in(t, "b", "mine", 1);
  }));
  ASSERT_TRUE(both);
  EXPECT_EQ(std::get<conflict_error>(both->error()).actual, 2);
  EXPECT_EQ(sync_wait(records->read("a"))->value, "0");
}

TEST_F(versioned, a_loop_of_ones_own_retries_conflicts_only) {
  const auto records = open();
  int tried = 0;
  const auto done = sync_wait(records->retry([&]() -> task<versioned_result<int>> {
    if (++tried < 3) co_return std::unexpected{versioned_error{conflict_error{1, 2, 1}}};
    co_return tried;
  }));
  EXPECT_EQ(done.value(), 3);
  const auto failed = sync_wait(records->retry([&]() -> task<versioned_result<int>> {
    ++tried;
    co_return std::unexpected{versioned_error{store_error{store_errc::full, "full"}}};
  }));
  EXPECT_EQ(std::get<store_error>(failed.error()).code, store_errc::full);
  EXPECT_EQ(tried, 4);
}

}  // namespace
