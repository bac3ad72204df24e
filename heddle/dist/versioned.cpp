#include <heddle/dist/versioned.hpp>

#include <atomic>
#include <tuple>

namespace heddle::dist {

struct versioned::state {
  sqlite_store& store;
  versioned_options options;
  std::atomic<std::uint64_t> writes{0};
  std::atomic<std::uint64_t> conflicts{0};
  std::atomic<std::uint64_t> exhausted{0};
  std::atomic<std::uint64_t> loops{0};
};

versioned::versioned(std::unique_ptr<state> s) noexcept : state_{std::move(s)} {}
versioned::~versioned() = default;

store_result<std::unique_ptr<versioned>> versioned::open(sqlite_store& store, versioned_options options) {
  auto migrated = store.migrate(
      "versioned", {"CREATE TABLE heddle_versioned (collection TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, "
                    "version INTEGER NOT NULL, PRIMARY KEY (collection, key)) WITHOUT ROWID"});
  if (!migrated) return std::unexpected{std::move(migrated).error()};
  return std::unique_ptr<versioned>{new versioned{std::unique_ptr<state>{new state{store, std::move(options)}}}};
}

store_result<versioned_record> versioned::read_in(sql_view& view, std::string_view key) {
  auto found = view.one<std::string, std::int64_t>(
      "SELECT value, version FROM heddle_versioned WHERE collection = ? AND key = ?", state_->options.collection, key);
  if (!found) return std::unexpected{std::move(found).error()};
  if (!*found) return versioned_record{};
  return versioned_record{std::move(std::get<0>(**found)), std::get<1>(**found)};
}

versioned_result<std::int64_t> versioned::put_in(sql_transaction& transaction, std::string_view key,
                                                 std::string_view value, std::int64_t if_version) {
  auto failed = [](store_error error) { return std::unexpected{versioned_error{std::move(error)}}; };
  auto found = transaction.one<std::int64_t>("SELECT version FROM heddle_versioned WHERE collection = ? AND key = ?",
                                             state_->options.collection, key);
  if (!found) return failed(std::move(found).error());
  const std::int64_t actual = *found ? std::get<0>(**found) : 0;
  if (if_version != any_version && if_version != actual) {
    state_->conflicts.fetch_add(1, std::memory_order_relaxed);
    return std::unexpected{versioned_error{conflict_error{if_version, actual, 1}}};
  }
  auto written = transaction.execute(
      "INSERT INTO heddle_versioned (collection, key, value, version) VALUES (?1, ?2, ?3, ?4) "
      "ON CONFLICT (collection, key) DO UPDATE SET value = excluded.value, version = excluded.version",
      state_->options.collection, key, sql_bytes(value), actual + 1);
  if (!written) return failed(std::move(written).error());
  state_->writes.fetch_add(1, std::memory_order_relaxed);
  return actual + 1;
}

task<store_result<versioned_record>> versioned::read(std::string key) {
  co_return co_await state_->store.read([this, &key](sql_view& view) { return read_in(view, key); });
}

task<versioned_result<std::int64_t>> versioned::put(std::string key, std::string value, std::int64_t if_version) {
  auto written = co_await state_->store.write(
      [&](sql_transaction& transaction) { return put_in(transaction, key, value, if_version); });
  if (!written) co_return std::unexpected{versioned_error{std::move(written).error()}};
  co_return *std::move(written);
}

// Each loop draws pauses of its own also when the options fix the seed, else those who collided would collide again.
backoff versioned::new_backoff() const noexcept {
  backoff_options how = state_->options.retry;
  if (how.seed != 0) how.seed += state_->loops.fetch_add(1, std::memory_order_relaxed);
  return backoff{how};
}

void versioned::note_exhausted() noexcept { state_->exhausted.fetch_add(1, std::memory_order_relaxed); }

versioned_stats versioned::stats() const noexcept {
  return {state_->writes.load(std::memory_order_relaxed), state_->conflicts.load(std::memory_order_relaxed),
          state_->exhausted.load(std::memory_order_relaxed)};
}

}  // namespace heddle::dist
