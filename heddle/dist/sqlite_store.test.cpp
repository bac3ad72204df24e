#include <heddle/dist/internal/test_support.hpp>
#include <heddle/dist/sqlite_store.hpp>
#include <heddle/park/snapshot.hpp>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/with_timeout.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>

namespace {

using namespace heddle;
using namespace heddle::dist;
using namespace heddle::dist::testing;

const std::vector<std::string> items{"CREATE TABLE items (id INTEGER PRIMARY KEY, value TEXT)"};

store_result<void> insert(sql_transaction& transaction, std::int64_t id, std::string_view value = "x") {
  auto done = transaction.execute("INSERT INTO items VALUES (?, ?)", id, value);
  if (!done) return std::unexpected{std::move(done).error()};
  return {};
}

TEST(sqlite_store, gives_back_what_was_written) {
  const scratch folder;
  store_fixture f{
      {.path = folder / "s.db", .schema = {"CREATE TABLE t (i INTEGER, r REAL, t TEXT, b BLOB, n INTEGER, o TEXT)"}}};
  const std::string bytes("a\0b\xff", 4);
  const auto written = f.store->write_blocking([&](sql_transaction& transaction) {
    return transaction.execute("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", 42, 1.5, "text", sql_bytes(bytes), nullptr,
                               std::optional<std::string>{"there"});
  });
  ASSERT_TRUE(written) << written.error().text;
  EXPECT_EQ(*written, 1);
  const auto read = f.store->read_blocking([](sql_view& view) {
    return view.one<std::int64_t, double, std::string, std::string, std::optional<int>, std::optional<std::string>>(
        "SELECT * FROM t");
  });
  ASSERT_TRUE(read && *read);
  EXPECT_EQ(**read, std::make_tuple(std::int64_t{42}, 1.5, std::string{"text"}, bytes, std::optional<int>{},
                                    std::optional<std::string>{"there"}));
}

TEST(sqlite_store, a_failing_job_does_not_hurt_its_group) {
  const scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = items}};
  sync_wait(with_scope([&](scope& s) -> task<void> {
    for (int i = 0; i < 100; ++i) {
      s.spawn([](sqlite_store& store, int id) -> task<void> {
        switch (id % 4) {
          case 0: {  // an error as result
            const auto got = co_await store.write([&](sql_transaction& t) -> std::expected<int, std::string> {
              EXPECT_TRUE(insert(t, id));
              return std::unexpected{"changed my mind"};
            });
            EXPECT_EQ(got.value().error(), "changed my mind");
            break;
          }
          case 1: {  // an exception
            const auto ended = co_await as_outcome(store.write([&](sql_transaction& t) {
              EXPECT_TRUE(insert(t, id));
              throw std::runtime_error{"thrown"};
            }));
            EXPECT_TRUE(ended.error() != nullptr);
            break;
          }
          case 2: {  // a statement that the database refuses
            const auto got = co_await store.write([&](sql_transaction& t) -> store_result<void> {
              EXPECT_TRUE(insert(t, id));
              return insert(t, id);
            });
            EXPECT_EQ(got.error().code, store_errc::constraint);
            break;
          }
          default: {
            const auto got = co_await store.write([&](sql_transaction& t) { return insert(t, id); });
            EXPECT_TRUE(got);
          }
        }
      }(*f.store, i));
    }
    co_return;
  }));
  EXPECT_EQ(number(*f.store, "SELECT count(*) FROM items"), 25);
  EXPECT_EQ(number(*f.store, "SELECT count(*) FROM items WHERE id % 4 = 3"), 25);
  EXPECT_EQ(f.store->stats().failed_writes, 75U);
}

TEST(sqlite_store, roll_back_undoes_the_job_and_delivers_its_result) {
  const scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = items}};
  const auto got = f.store->write_blocking([](sql_transaction& transaction) {
    EXPECT_TRUE(insert(transaction, 1));
    transaction.roll_back();
    return 7;
  });
  EXPECT_EQ(got.value(), 7);
  EXPECT_EQ(number(*f.store, "SELECT count(*) FROM items"), 0);
}

TEST(sqlite_store, a_wrong_statement_is_an_error_and_no_end) {
  const scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = items}};
  const auto wrong = [&](std::string_view sql, auto... args) {
    return f.store->write_blocking([&](sql_transaction& transaction) { return transaction.execute(sql, args...); })
        .error()
        .code;
  };
  EXPECT_EQ(wrong("INSERT INTO nowhere VALUES (1)"), store_errc::refused);
  EXPECT_EQ(wrong("no sql"), store_errc::refused);
  EXPECT_EQ(wrong(""), store_errc::refused);
  EXPECT_EQ(wrong("INSERT INTO items VALUES (?, ?)", 1), store_errc::refused);
  EXPECT_EQ(wrong("COMMIT"), store_errc::rolled_back);
  EXPECT_TRUE(f.store->write_blocking([](sql_transaction& transaction) { return insert(transaction, 1); }));
}

TEST(sqlite_store, many_writes_share_a_commit) {
  const scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = items}};
  const std::uint64_t before = f.store->stats().commits;
  sync_wait(with_scope([&](scope& s) -> task<void> {
    for (int writer = 0; writer < 100; ++writer) {
      s.spawn([](sqlite_store& store, int from) -> task<void> {
        for (int i = 0; i < 10; ++i) {
          EXPECT_TRUE(co_await store.write([&](sql_transaction& t) { return insert(t, from * 100 + i); }));
        }
      }(*f.store, writer));
    }
    co_return;
  }));
  EXPECT_EQ(number(*f.store, "SELECT count(*) FROM items"), 1000);
  EXPECT_LT(f.store->stats().commits - before, 500U);
  EXPECT_GT(f.store->stats().largest_group, 10U);
}

TEST(sqlite_store, producers_wait_while_the_writer_is_behind) {
  const scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = items, .queued = 2, .group = 1}};
  semaphore go{0, "go"};
  std::atomic<bool> first_runs{false};
  std::atomic<int> written{0};
  sync_wait(with_scope([&](scope& s) -> task<void> {
    s.spawn_on(f.pool, [](sqlite_store& store, semaphore& gate, std::atomic<bool>& runs) -> task<void> {
      EXPECT_TRUE(co_await store.write([&](sql_transaction&) {
        runs = true;
        (void)gate.acquire();
      }));
    }(*f.store, go, first_runs));
    EXPECT_TRUE(eventually([&] { return first_runs.load(); }));
    for (int i = 0; i < 5; ++i) {
      s.spawn_on(f.pool, [](sqlite_store& store, std::atomic<int>& done, int id) -> task<void> {
        EXPECT_TRUE(co_await store.write([&](sql_transaction& t) { return insert(t, id); }));
        ++done;
      }(*f.store, written, i));
    }
    const auto waiting_for_room = [] {
      std::size_t count = 0;
      for (const auto& wait : park::snapshot::take().waits) {
        count += wait.waits_for == resource_kind::channel && wait.resource_name == "write jobs" ? 1 : 0;
      }
      return count;
    };
    EXPECT_TRUE(eventually([&] { return waiting_for_room() == 3 && f.store->stats().queued_now == 2; }));
    EXPECT_EQ(written, 0);
    go.release();
    co_return;
  }));
  EXPECT_EQ(written, 5);
}

TEST(sqlite_store, a_stop_leaves_an_accepted_job_alone) {
  const scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = items, .queued = 1, .group = 1}};
  semaphore go{0, "go"};
  std::atomic<bool> first_runs{false};
  std::stop_source stop;
  const auto write_one = [](sqlite_store& store, int id) -> task<bool> {
    co_return (co_await store.write([&](sql_transaction& t) { return insert(t, id); })).has_value();
  };
  sync_wait(with_scope([&](scope& s) -> task<void> {
    s.spawn_on(f.pool, [](sqlite_store& store, semaphore& gate, std::atomic<bool>& runs) -> task<void> {
      EXPECT_TRUE(co_await store.write([&](sql_transaction& t) {
        runs = true;
        (void)gate.acquire();
        return insert(t, 0);
      }));
    }(*f.store, go, first_runs));
    EXPECT_TRUE(eventually([&] { return first_runs.load(); }));
    co_await with_scope([&](scope& stopped) -> task<void> {
      stopped.spawn_on(f.pool, [](sqlite_store& store, auto write) -> task<void> {
        EXPECT_TRUE(co_await write(store, 1));  // accepted: its end is awaited
      }(*f.store, write_one));
      EXPECT_TRUE(eventually([&] { return f.store->stats().queued_now == 1; }));
      stopped.spawn_on(f.pool, [](sqlite_store& store, auto write) -> task<void> {
        (void)co_await write(store, 2);
        ADD_FAILURE() << "was to be stopped while it waited for room";
      }(*f.store, write_one));
      EXPECT_TRUE(eventually([&] {
        for (const auto& wait : park::snapshot::take().waits) {
          if (wait.waits_for == resource_kind::channel && wait.resource_name == "write jobs") return true;
        }
        return false;
      }));
      stopped.stop();
      go.release();
      co_return;
    });
  }));
  EXPECT_EQ(number(*f.store, "SELECT count(*) FROM items"), 2);
  EXPECT_EQ(number(*f.store, "SELECT max(id) FROM items"), 1);
}

TEST(sqlite_store, no_more_reads_at_once_than_connections) {
  const scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = items, .readers = 2}};
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  sync_wait(with_scope([&](scope& s) -> task<void> {
    for (int i = 0; i < 50; ++i) {
      s.spawn([](sqlite_store& store, std::atomic<int>& in, std::atomic<int>& max) -> task<void> {
        EXPECT_TRUE(co_await store.read([&](sql_view&) {
          const int now = ++in;
          int seen = max.load();
          while (now > seen && !max.compare_exchange_weak(seen, now)) {
          }
          std::this_thread::yield();
          --in;
        }));
      }(*f.store, inside, most));
    }
    co_return;
  }));
  EXPECT_LE(most, 2);
  EXPECT_EQ(f.store->stats().most_reads, static_cast<std::uint64_t>(most.load()));
  EXPECT_EQ(f.store->stats().reads, 50U);
}

TEST(sqlite_store, reads_run_at_the_same_time) {
  const scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = items, .readers = 2}};
  std::atomic<int> inside{0};
  sync_wait(with_scope([&](scope& s) -> task<void> {
    for (int i = 0; i < 2; ++i) {
      s.spawn([](sqlite_store& store, std::atomic<int>& in) -> task<void> {
        EXPECT_TRUE(co_await store.read([&](sql_view&) {
          ++in;
          EXPECT_TRUE(eventually([&] { return in == 2; }));
        }));
      }(*f.store, inside));
    }
    co_return;
  }));
}

TEST(sqlite_store, a_read_sees_what_was_answered_before) {
  const scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = items}};
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(f.store->write_blocking([&](sql_transaction& transaction) { return insert(transaction, i); }));
    ASSERT_EQ(number(*f.store, "SELECT count(*) FROM items"), i + 1);
  }
}

TEST(sqlite_store, a_read_sees_one_instant) {
  const scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = items}};
  const auto read = f.store->read_blocking([&](sql_view& view) {
    const auto count = [&] { return std::get<0>(**view.one<std::int64_t>("SELECT count(*) FROM items")); };
    const std::int64_t before = count();
    EXPECT_TRUE(f.store->write_blocking([&](sql_transaction& transaction) { return insert(transaction, 1); }));
    return std::pair{before, count()};
  });
  EXPECT_EQ(*read, std::make_pair(std::int64_t{0}, std::int64_t{0}));
  EXPECT_EQ(number(*f.store, "SELECT count(*) FROM items"), 1);
}

TEST(sqlite_store, an_exception_reaches_the_one_who_asked) {
  const scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = items}};
  EXPECT_THROW((void)f.store->write_blocking([](sql_transaction&) { throw std::domain_error{"w"}; }),
               std::domain_error);
  EXPECT_THROW((void)f.store->read_blocking([](sql_view&) { throw std::domain_error{"r"}; }), std::domain_error);
  EXPECT_THROW((void)f.store->read_blocking([](sql_view& view) {
    return view.each("SELECT 1", [](const sql_row&) { throw std::domain_error{"row"}; });
  }),
               std::domain_error);
}

TEST(sqlite_store, what_was_accepted_is_done_before_it_is_closed) {
  const scratch folder;
  std::atomic<int> answered{0};
  {
    store_fixture f{{.path = folder / "s.db", .schema = items}};
    semaphore go{0, "go"};
    std::atomic<bool> runs{false};
    std::thread blocker{[&] {
      EXPECT_TRUE(f.store->write_blocking([&](sql_transaction&) {
        runs = true;
        (void)go.acquire();
      }));
    }};
    EXPECT_TRUE(eventually([&] { return runs.load(); }));
    std::vector<std::thread> writers;
    for (int i = 0; i < 10; ++i) {
      writers.emplace_back([&, i] {
        answered += f.store->write_blocking([&](sql_transaction& t) { return insert(t, i); }).has_value() ? 1 : 0;
      });
    }
    EXPECT_TRUE(eventually([&] { return f.store->stats().queued_now == 10; }));
    std::thread opener{[&] { go.release(); }};
    f.store->close();
    EXPECT_EQ(f.store->write_blocking([](sql_transaction& t) { return insert(t, 99); }).error().code,
              store_errc::closed);
    opener.join();
    blocker.join();
    for (auto& writer : writers) writer.join();
  }
  EXPECT_EQ(answered, 10);
  store_fixture again{{.path = folder / "s.db", .schema = items}};
  EXPECT_EQ(number(*again.store, "SELECT count(*) FROM items"), 10);
}

TEST(sqlite_store, a_schema_grows_step_by_step) {
  const scratch folder;
  const std::string path = folder / "s.db";
  {
    store_fixture f{{.path = path, .schema = items}};
    ASSERT_TRUE(f.store->write_blocking([](sql_transaction& transaction) { return insert(transaction, 1); }));
  }
  const std::vector<std::string> grown{
      items[0], "ALTER TABLE items ADD COLUMN price INTEGER DEFAULT 5; CREATE INDEX by_price ON items (price)"};
  {
    store_fixture f{{.path = path, .schema = grown}};
    EXPECT_EQ(number(*f.store, "SELECT price FROM items WHERE id = 1"), 5);
  }
  thread_pool pool{{.threads = 2}};
  const auto older = sqlite_store::open({.path = path, .schema = items}, pool);
  ASSERT_FALSE(older);
  EXPECT_NE(older.error().text.find("made by a newer program"), std::string::npos) << older.error().text;
}

TEST(sqlite_store, a_schema_step_that_fails_is_undone_and_told) {
  const scratch folder;
  thread_pool pool{{.threads = 2}};
  const auto failed =
      sqlite_store::open({.path = folder / "s.db", .schema = {"CREATE TABLE a (x); CREATE TABLE a (x)"}}, pool);
  ASSERT_FALSE(failed);
  store_fixture f{{.path = folder / "s.db", .schema = {"CREATE TABLE a (x)"}}};
  EXPECT_EQ(number(*f.store, "SELECT count(*) FROM a"), 0);
}

TEST(sqlite_store, a_second_instance_is_told_who_has_it) {
  const scratch folder;
  const std::string path = folder / "s.db";
  child other{{"open", path}};
  const std::string its_process = other.line();
  ASSERT_FALSE(its_process.empty());
  thread_pool pool{{.threads = 2}};
  const auto second = sqlite_store::open({.path = path, .schema = {}}, pool);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, store_errc::in_use);
  EXPECT_EQ(second.error().text, "the store '" + path + "' is already open in process " + its_process);
  other.kill();
  EXPECT_TRUE(sqlite_store::open({.path = path, .schema = {}}, pool));
}

TEST(sqlite_store, is_opened_once_within_a_process_too) {
  const scratch folder;
  store_fixture f{{.path = folder / "s.db", .schema = items}};
  EXPECT_EQ(sqlite_store::open({.path = folder / "s.db", .schema = {}}, f.pool).error().code, store_errc::in_use);
}

TEST(sqlite_store, what_is_no_database_is_refused_with_one_sentence) {
  const scratch folder;
  thread_pool pool{{.threads = 2}};
  const auto refused = [&](const std::string& path) {
    const auto opened = sqlite_store::open({.path = path, .schema = items}, pool);
    EXPECT_FALSE(opened) << path;
    if (opened) return store_errc{};
    EXPECT_NE(opened.error().text.find(path), std::string::npos) << opened.error().text;
    EXPECT_EQ(opened.error().text.find('\n'), std::string::npos) << opened.error().text;
    return opened.error().code;
  };
  std::ofstream{folder / "text"} << std::string(5000, 'x');
  EXPECT_EQ(refused(folder / "text"), store_errc::corrupt);
  EXPECT_EQ(refused(folder / "no-such-folder/s.db"), store_errc::unreadable);
  std::filesystem::create_directory(folder / "folder");
  EXPECT_EQ(refused(folder / "folder"), store_errc::unreadable);

  const std::string damaged = folder / "damaged.db";
  {
    store_fixture f{{.path = damaged, .schema = items}};
    ASSERT_TRUE(f.store->write_blocking([](sql_transaction& t) -> store_result<void> {
      for (int i = 0; i < 2000; ++i) {
        if (auto done = insert(t, i, std::string(50, 'v')); !done) return done;
      }
      return {};
    }));
  }
  {
    std::fstream file{damaged, std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(5 * 4096);
    file << std::string(8 * 4096, '\x5a');
  }
  EXPECT_EQ(refused(damaged), store_errc::corrupt);
}

TEST(sqlite_store, a_kill_loses_nothing_acknowledged) {
  const scratch folder;
  const std::string path = folder / "s.db";
  std::set<std::int64_t> acknowledged;
  for (int round = 0; round < 3; ++round) {
    child writer{{"write", path}};
    for (int i = 0; i < 200; ++i) {
      const std::string line = writer.line();
      ASSERT_FALSE(line.empty());
      if (round == 0) acknowledged.insert(std::stoll(line));
    }
    writer.kill();
    for (const std::string& line : writer.rest()) {
      if (round == 0) acknowledged.insert(std::stoll(line));
    }
    store_fixture f{{.path = path, .schema = {"CREATE TABLE halves (id INTEGER, half TEXT)"}}};
    EXPECT_EQ(number(*f.store, "SELECT count(*) FROM (SELECT id FROM halves GROUP BY id HAVING count(*) % 2 <> 0)"), 0);
    for (const std::int64_t id : acknowledged) {
      ASSERT_GE(number(*f.store, "SELECT count(*) FROM halves WHERE id = ?", id), 2) << id;
    }
  }
}

}  // namespace
