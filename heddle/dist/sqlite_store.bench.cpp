// What the embedded store, its locks and its idempotency records do per second; SQLite by itself is the yardstick.

#include <heddle/dist/idempotency_store.hpp>
#include <heddle/dist/internal/sql_connection.hpp>
#include <heddle/dist/lock_service.hpp>
#include <heddle/dist/sqlite_store.hpp>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

namespace {

using namespace heddle;
using namespace heddle::dist;

constexpr std::string_view insert = "INSERT INTO t VALUES (?, ?)";
const std::vector<std::string> schema{"CREATE TABLE t (id INTEGER, value TEXT)"};

struct folder {
  folder() {
    char pattern[] = "/tmp/heddle-bench-XXXXXX";
    if (::mkdtemp(pattern) == nullptr) std::abort();
    path = pattern;
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  ~folder() { std::filesystem::remove_all(path); }
  std::string path;
};

// One durable commit after the other, without heddle's writer.
void raw_commits(benchmark::State& state) {
  const folder scratch;
  auto connection = sql_connection::open(scratch.path + "/s.db", sql_access::read_write, sql_sync::full,
                                         std::chrono::milliseconds{100})
                        .value();
  if (!connection->script(schema[0])) std::abort();
  for (auto _ : state) {
    (void)connection->command("BEGIN IMMEDIATE");
    const sql_argument values[] = {1, "some text of a common length"};
    (void)connection->change(insert, values);
    (void)connection->command("COMMIT");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(raw_commits)->UseRealTime();

task<void> write_many(sqlite_store& store, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    auto done = co_await store.write(
        [i](sql_transaction& transaction) { return transaction.execute(insert, i, "some text of a common length"); });
    if (!done) std::abort();
  }
}

// As many tasks on one thread as the argument says, each waiting until its write is durable before the next one.
void durable_writes(benchmark::State& state) {
  const folder scratch;
  thread_pool pool{{.threads = 2}};
  auto store = sqlite_store::open({.path = scratch.path + "/s.db", .schema = schema}, pool).value();
  constexpr std::int64_t each = 50;
  for (auto _ : state) {
    sync_wait(with_scope([&](scope& s) -> task<void> {
      for (std::int64_t i = 0; i < state.range(0); ++i) s.spawn(write_many(*store, each));
      co_return;
    }));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * each);
  state.counters["jobs_per_commit"] =
      static_cast<double>(store->stats().writes) / static_cast<double>(store->stats().commits);
}
BENCHMARK(durable_writes)->Arg(1)->Arg(10)->Arg(200)->UseRealTime();

void free_lock(benchmark::State& state, const std::string& engine) {
  const folder scratch;
  thread_pool pool{{.threads = 2}};
  auto locks =
      lock_service::open(engine == "memory" ? "memory://" : "sqlite://" + scratch.path + "/l.db", pool).value();
  for (auto _ : state) {
    auto held = locks->lock_blocking("a");
    if (!held || !held->release_blocking()) std::abort();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(free_lock, memory, "memory")->UseRealTime();
BENCHMARK_CAPTURE(free_lock, sqlite, "sqlite")->UseRealTime();

task<void> lock_many(lock_service& locks, std::int64_t me, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    auto held = co_await locks.lock("lock " + std::to_string(me));
    if (!held || !co_await held->release()) std::abort();
  }
}

// Many tasks at once, each with a lock of its own.
void free_locks_at_once(benchmark::State& state) {
  const folder scratch;
  thread_pool pool{{.threads = 2}};
  auto locks = lock_service::open("sqlite://" + scratch.path + "/l.db", pool).value();
  constexpr std::int64_t each = 20;
  for (auto _ : state) {
    sync_wait(with_scope([&](scope& s) -> task<void> {
      for (std::int64_t i = 0; i < state.range(0); ++i) s.spawn(lock_many(*locks, i, each));
      co_return;
    }));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * each);
}
BENCHMARK(free_locks_at_once)->Arg(200)->UseRealTime();

}  // namespace
