#include <heddle/dist/internal/group_writer.hpp>
#include <heddle/dist/internal/sql_connection.hpp>
#include <heddle/dist/sqlite_store.hpp>
#include <heddle/sync/mutex.hpp>
#include <heddle/sync/semaphore.hpp>
#include <heddle/sys/identity.hpp>
#include <heddle/sys/lock_file.hpp>
#include <heddle/task/this_task.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>

namespace heddle::dist {
namespace {

// The kernel's lock that makes the store one process's own; the file beside the database says whose.
class claim_file {
 public:
  claim_file() noexcept = default;
  claim_file(const claim_file&) = delete;
  claim_file& operator=(const claim_file&) = delete;
  ~claim_file() {
    if (descriptor_ >= 0) sys::close_locked(descriptor_);
  }

  store_result<void> take(const std::string& store) {
    const std::string path = store + "-lock";
    auto locked = sys::open_locked(path);
    if (locked) {
      descriptor_ = *locked;
      sys::write_content(descriptor_, std::to_string(sys::process_id()));
      return {};
    }
    if (locked.error() == std::errc::resource_unavailable_try_again) {
      return std::unexpected{store_error{
          store_errc::in_use, "the store '" + store + "' is already open in process " + sys::read_content(path)}};
    }
    return std::unexpected{store_error{store_errc::unreadable, "the store '" + store + "' cannot be opened: '" + path +
                                                                   "': " + locked.error().message()}};
  }

 private:
  int descriptor_ = -1;
};

const std::vector<std::string>& own_schema() {
  static const std::vector<std::string> steps{
      "CREATE TABLE IF NOT EXISTS heddle_schema (part TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID"};
  return steps;
}

}  // namespace

struct sqlite_store::state {
  state(store_options o, std::size_t reader_count, executor& b)
      : options{std::move(o)}, blocking{b}, permits{static_cast<std::uint32_t>(reader_count), "store readers"} {}

  store_options options;
  executor& blocking;
  std::string instance = sys::random_id();
  claim_file claim;                    // before the connections: let go of after they are closed
  std::optional<group_writer> writer;  // closed last, so that its connection can empty the write-ahead log
  semaphore permits;
  mutex idle_mutex{"idle store readers"};
  std::vector<std::unique_ptr<sql_connection>> idle;  // under idle_mutex
  std::atomic<std::uint64_t> reads{0};
  std::atomic<std::uint64_t> reads_now{0};
  std::atomic<std::uint64_t> most_reads{0};

  void read(store_job<sql_view>& job) noexcept;
};

// Runs a job in a read transaction on a free connection; the caller has a permit, so there is one.
void sqlite_store::state::read(store_job<sql_view>& job) noexcept {
  std::unique_ptr<sql_connection> connection;
  {
    const std::lock_guard lock{idle_mutex};
    connection = std::move(idle.back());
    idle.pop_back();
  }
  const std::uint64_t now = reads_now.fetch_add(1, std::memory_order_relaxed) + 1;
  std::uint64_t most = most_reads.load(std::memory_order_relaxed);
  while (now > most && !most_reads.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
  }
  if (auto begun = connection->command("BEGIN"); !begun) {
    job.fail(std::move(begun).error());
  } else {
    sql_view view{*connection};
    (void)job.run(view);
    (void)connection->command("ROLLBACK");  // nothing to commit
  }
  reads.fetch_add(1, std::memory_order_relaxed);
  reads_now.fetch_sub(1, std::memory_order_relaxed);
  const std::lock_guard lock{idle_mutex};
  idle.push_back(std::move(connection));
}

store_result<std::unique_ptr<sqlite_store>> sqlite_store::open(store_options options, executor& blocking) {
  const std::size_t readers = std::max<std::size_t>(options.readers, 1);
  const std::size_t queued = std::max<std::size_t>(options.queued, 1);
  auto made = std::make_unique<state>(std::move(options), readers, blocking);
  const store_options& o = made->options;
  if (auto claimed = made->claim.take(o.path); !claimed) return std::unexpected{std::move(claimed).error()};

  auto connection = sql_connection::open(o.path, sql_access::read_write, sql_sync::full, o.busy);
  if (!connection) return std::unexpected{std::move(connection).error()};
  if (o.verify) {
    if (auto sound = (*connection)->verify(); !sound) return std::unexpected{std::move(sound).error()};
  }
  if (auto done = (*connection)->script(own_schema().front()); !done) return std::unexpected{std::move(done).error()};
  for (std::size_t i = 0; i < readers; ++i) {
    auto reader = sql_connection::open(o.path, sql_access::read_only, sql_sync::full, o.busy);
    if (!reader) return std::unexpected{std::move(reader).error()};
    made->idle.push_back(*std::move(reader));
  }
  made->writer.emplace(*std::move(connection), blocking, queued, o.group);

  std::unique_ptr<sqlite_store> store{new sqlite_store{std::move(made)}};
  if (auto migrated = store->migrate("application", store->state_->options.schema); !migrated) {
    return std::unexpected{std::move(migrated).error()};
  }
  return store;
}

sqlite_store::sqlite_store(std::unique_ptr<state> s) noexcept : state_{std::move(s)} {}
sqlite_store::~sqlite_store() = default;

task<bool> sqlite_store::send(write_job& job) { return state_->writer->send(job); }
bool sqlite_store::send_blocking(write_job& job) { return state_->writer->send_blocking(job); }

task<void> sqlite_store::run_read(store_job<sql_view>& job) {
  executor& home = co_await this_task::current_executor();
  semaphore_permit permit = co_await state_->permits.async_acquire();
  co_await this_task::resume_on(state_->blocking);
  state_->read(job);
  permit.give_back();
  co_await this_task::resume_on(home);
}

void sqlite_store::run_read_blocking(store_job<sql_view>& job) {
  const semaphore_permit permit = state_->permits.acquire();
  state_->read(job);
}

store_result<void> sqlite_store::migrate(std::string_view part, const std::vector<std::string>& steps) {
  return write_blocking([&](sql_transaction& transaction) -> store_result<void> {
    auto found = transaction.one<std::int64_t>("SELECT version FROM heddle_schema WHERE part = ?", part);
    if (!found) return std::unexpected{std::move(found).error()};
    const auto version = *found ? static_cast<std::size_t>(std::get<0>(**found)) : 0;
    if (version > steps.size()) {
      return std::unexpected{
          store_error{store_errc::refused, "the store '" + path() + "' was made by a newer program: its part '" +
                                               std::string{part} + "' has version " + std::to_string(version) +
                                               ", this program knows " + std::to_string(steps.size())}};
    }
    if (version == steps.size()) return {};
    for (std::size_t i = version; i < steps.size(); ++i) {
      if (auto done = transaction.script(steps[i]); !done) return done;
    }
    auto noted = transaction.execute(
        "INSERT INTO heddle_schema (part, version) VALUES (?, ?) "
        "ON CONFLICT (part) DO UPDATE SET version = excluded.version",
        part, steps.size());
    if (!noted) return std::unexpected{std::move(noted).error()};
    return {};
  });
}

void sqlite_store::close() noexcept { state_->writer->close(); }

const std::string& sqlite_store::instance() const noexcept { return state_->instance; }
const std::string& sqlite_store::path() const noexcept { return state_->options.path; }

store_error sqlite_store::closed_error() const {
  return {store_errc::closed, "the store '" + path() + "' is being closed"};
}

store_stats sqlite_store::stats() const noexcept {
  const group_writer::figures& count = state_->writer->count();
  store_stats result;
  result.writes = count.writes.load(std::memory_order_relaxed);
  result.failed_writes = count.failed.load(std::memory_order_relaxed);
  result.commits = count.commits.load(std::memory_order_relaxed);
  result.largest_group = count.largest.load(std::memory_order_relaxed);
  result.reads = state_->reads.load(std::memory_order_relaxed);
  result.reads_now = state_->reads_now.load(std::memory_order_relaxed);
  result.most_reads = state_->most_reads.load(std::memory_order_relaxed);
  result.queued_now = state_->writer->queued();
  return result;
}

}  // namespace heddle::dist
