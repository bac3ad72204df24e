#include <heddle/dist/idempotency_store.hpp>
#include <heddle/dist/internal/test_support.hpp>

#include <gtest/gtest.h>

#include <atomic>

namespace {

using namespace heddle;
using namespace heddle::dist;
using namespace heddle::dist::testing;

const std::vector<std::string> charges{"CREATE TABLE charges (id TEXT)"};
const idempotency_key key{"shop", "pay", "k1"};

struct idempotency : ::testing::Test {
  idempotency() { open(); }
  void open(idempotency_options options = {}) {
    records.reset();
    f.store.reset();
    f.open({.path = folder / "s.db", .schema = charges});
    records = idempotency_store::open(*f.store, options).value();
  }
  begun begin(const idempotency_key& k = key, const std::string& fingerprint = "body") {
    return sync_wait(records->begin(k, fingerprint)).value();
  }
  attempt run(const idempotency_key& k = key, const std::string& fingerprint = "body") {
    begun found = begin(k, fingerprint);
    if (!std::holds_alternative<run_attempt>(found)) {
      ADD_FAILURE() << "not to be run; found alternative " << found.index();
      std::abort();
    }
    return std::get<run_attempt>(std::move(found)).work;
  }
  std::int64_t charged() { return number(*f.store, "SELECT count(*) FROM charges"); }

  scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = charges}};
  std::unique_ptr<idempotency_store> records;
};

TEST_F(idempotency, replays_are_identical) {
  const recorded_answer answer{
      201,
      {{"Content-Type", "application/json"}, {"", ""}, {"X-Odd", std::string("\0\r\n\xff", 4)}, {"A", "1"}, {"A", "2"}},
      std::string("{\"id\":\"7\"}\0\xfe\n", 13)};
  ASSERT_TRUE(sync_wait(records->complete(run(), answer)));
  for (int opening = 0; opening < 2; ++opening) {
    for (int i = 0; i < 3; ++i) {
      const begun found = begin();
      ASSERT_TRUE(std::holds_alternative<replay>(found));
      const recorded_answer& again = std::get<replay>(found).answer;
      EXPECT_EQ(again.status, answer.status);
      EXPECT_EQ(again.headers, answer.headers);
      EXPECT_EQ(again.body, answer.body);
    }
    EXPECT_EQ(records->stats().replays, 3U);
    open();
  }
}

TEST_F(idempotency, the_same_key_at_once_runs_once) {
  std::atomic<int> ran{0};
  std::atomic<int> refused{0};
  sync_wait(with_scope([&](scope& s) -> task<void> {
    for (int i = 0; i < 50; ++i) {
      s.spawn_on(f.pool, [](idempotency_store& store, std::atomic<int>& runs, std::atomic<int>& waits) -> task<void> {
        const auto found = co_await store.begin(key, "body");
        EXPECT_TRUE(found);
        if (const auto* mine = std::get_if<run_attempt>(&*found)) {
          ++runs;
          EXPECT_EQ(mine->work.token(), 1);
        }
        if (const auto* other = std::get_if<in_progress>(&*found)) {
          ++waits;
          EXPECT_GT(other->retry_after.count(), 0);
        }
      }(*records, ran, refused));
    }
    co_return;
  }));
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(refused, 49);
}

TEST_F(idempotency, one_charge_per_key_under_retries) {
  sync_wait(with_scope([&](scope& s) -> task<void> {
    for (int i = 0; i < 200; ++i) {
      s.spawn_on(f.pool, [](sqlite_store& store, idempotency_store& keys, int n) -> task<void> {
        const idempotency_key mine{"shop", "pay", std::to_string(n % 20)};
        for (;;) {
          auto found = co_await keys.begin(mine, "body");
          EXPECT_TRUE(found);
          if (const auto* done = std::get_if<replay>(&*found)) {
            EXPECT_EQ(done->answer.body, "paid " + mine.key);
            co_return;
          }
          auto* run = std::get_if<run_attempt>(&*found);
          if (run == nullptr) {
            co_await this_task::yield();
            continue;
          }
          if (run->work.token() == 1) {  // the first attempt of each fails
            EXPECT_TRUE(co_await keys.fail_retryable(run->work));
            continue;
          }
          EXPECT_TRUE(co_await store.write([&](sql_transaction& t) -> store_result<void> {
            auto charge = t.execute("INSERT INTO charges VALUES (?)", run->work.derived_key("charge"));
            if (!charge) return std::unexpected{charge.error()};
            return keys.complete_in(t, run->work, {200, {}, "paid " + mine.key});
          }));
        }
      }(*f.store, *records, i));
    }
    co_return;
  }));
  EXPECT_EQ(charged(), 20);
  EXPECT_EQ(number(*f.store, "SELECT count(DISTINCT id) FROM charges"), 20);
}

TEST_F(idempotency, other_content_is_a_mismatch) {
  const attempt work = run();
  EXPECT_TRUE(std::holds_alternative<mismatch>(begin(key, "other body")));
  ASSERT_TRUE(sync_wait(records->complete(work, {200, {}, "ok"})));
  EXPECT_TRUE(std::holds_alternative<mismatch>(begin(key, "other body")));
  EXPECT_EQ(records->stats().mismatches, 2U);
}

TEST_F(idempotency, tenants_and_operations_are_apart) {
  const attempt a = run({"t1", "pay", "k"});
  const attempt b = run({"t2", "pay", "k"}, "other");
  const attempt c = run({"t1", "refund", "k"}, "third");
  EXPECT_NE(a.derived_key("charge"), b.derived_key("charge"));
  EXPECT_NE(a.derived_key("charge"), c.derived_key("charge"));
  EXPECT_NE(a.derived_key("charge"), a.derived_key("refund"));
}

TEST_F(idempotency, a_dead_attempt_is_taken_over_at_its_recovery_point) {
  open({.attempt_ttl = 40ms});
  const attempt dead = run();
  ASSERT_TRUE(sync_wait(records->set_recovery_point(dead, "charged")));
  begun found;
  ASSERT_TRUE(eventually([&] {
    found = begin();
    return std::holds_alternative<run_attempt>(found);
  }));
  const attempt& work = std::get<run_attempt>(found).work;
  EXPECT_EQ(work.token(), 2);
  EXPECT_EQ(work.recovery_point(), "charged");
  EXPECT_EQ(work.derived_key("charge"), dead.derived_key("charge"));
  EXPECT_EQ(records->stats().taken_over, 1U);
}

TEST_F(idempotency, an_attempt_of_a_process_that_is_gone_is_taken_over_at_once) {
  open({.attempt_ttl = 1h});
  const attempt dead = run();
  EXPECT_TRUE(std::holds_alternative<in_progress>(begin()));
  open({.attempt_ttl = 1h});
  const attempt work = run();
  EXPECT_EQ(work.token(), 2);
  EXPECT_EQ(work.derived_key("charge"), dead.derived_key("charge"));
}

TEST_F(idempotency, a_stale_attempt_can_write_nothing) {
  const attempt stale = run();
  ASSERT_TRUE(sync_wait(records->fail_retryable(stale)));
  const attempt mine = run();
  const auto code = [](const auto& result) { return result.error().code; };
  EXPECT_EQ(code(sync_wait(records->complete(stale, {200, {}, "stale"}))), store_errc::stale_attempt);
  EXPECT_EQ(code(sync_wait(records->fail_retryable(stale))), store_errc::stale_attempt);
  EXPECT_EQ(code(sync_wait(records->mark_indeterminate(stale))), store_errc::stale_attempt);
  EXPECT_EQ(code(sync_wait(records->set_recovery_point(stale, "stale"))), store_errc::stale_attempt);
  const auto effect = sync_wait(f.store->write([&](sql_transaction& t) -> store_result<void> {
    if (auto done = t.execute("INSERT INTO charges VALUES ('stale')"); !done) return std::unexpected{done.error()};
    return records->complete_in(t, stale, {200, {}, "stale"});
  }));
  EXPECT_EQ(code(effect), store_errc::stale_attempt);
  EXPECT_EQ(charged(), 0);  // the effect goes with the refused completion
  EXPECT_EQ(records->stats().stale, 5U);
  ASSERT_TRUE(sync_wait(records->complete(mine, {200, {}, "mine"})));
  EXPECT_EQ(std::get<replay>(begin()).answer.body, "mine");
  EXPECT_EQ(code(sync_wait(records->complete(mine, {200, {}, "twice"}))), store_errc::stale_attempt);
}

TEST_F(idempotency, completion_and_effect_commit_together) {
  const attempt work = run();
  const auto undone = sync_wait(f.store->write([&](sql_transaction& t) -> store_result<void> {
    EXPECT_TRUE(t.execute("INSERT INTO charges VALUES ('x')"));
    EXPECT_TRUE(records->complete_in(t, work, {200, {}, "done"}));
    return std::unexpected{store_error{store_errc::refused, "undo"}};
  }));
  EXPECT_FALSE(undone);
  EXPECT_EQ(charged(), 0);
  EXPECT_TRUE(std::holds_alternative<in_progress>(begin()));
}

TEST_F(idempotency, an_indeterminate_record_waits_for_reconciliation) {
  const attempt work = run();
  ASSERT_TRUE(sync_wait(records->set_recovery_point(work, "asked the bank")));
  ASSERT_TRUE(sync_wait(records->mark_indeterminate(work)));
  open();
  const begun found = begin();
  ASSERT_TRUE(std::holds_alternative<indeterminate>(found));
  EXPECT_EQ(std::get<indeterminate>(found).recovery_point, "asked the bank");
  const auto taken = sync_wait(records->reconcile(key));
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->token(), 2);
  EXPECT_FALSE(sync_wait(records->reconcile(key)));
  EXPECT_TRUE(std::holds_alternative<in_progress>(begin()));
  ASSERT_TRUE(sync_wait(records->complete(*taken, {200, {}, "was charged"})));
  EXPECT_EQ(std::get<replay>(begin()).answer.body, "was charged");
}

TEST_F(idempotency, only_completed_records_are_forgotten) {
  ASSERT_TRUE(sync_wait(records->complete(run({"t", "o", "done"}), {200, {}, ""})));
  const attempt open_one = run({"t", "o", "open"});
  EXPECT_EQ(sync_wait(records->forget_older_than(1h)).value(), 0);
  EXPECT_EQ(sync_wait(records->forget_older_than(-1h)).value(), 1);
  EXPECT_EQ(run({"t", "o", "done"}).token(), 1);
  EXPECT_TRUE(std::holds_alternative<in_progress>(begin({"t", "o", "open"})));
}

}  // namespace
