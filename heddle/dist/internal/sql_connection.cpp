#include <heddle/base/deadline.hpp>
#include <heddle/dist/internal/sql_connection.hpp>
#include <heddle/park/wait.hpp>
#include <heddle/sys/futex.hpp>

#include <sqlite3.h>

#include <algorithm>
#include <source_location>
#include <utility>

namespace heddle::dist {
namespace {

// More statements than this are never kept: a program that writes values into its texts must not fill the memory.
constexpr std::size_t most_statements = 256;

constexpr std::int64_t longest_pause_ns = 8'000'000;

store_errc errc_of(int code) noexcept {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return store_errc::busy;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return store_errc::corrupt;
    case SQLITE_FULL: return store_errc::full;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
    case SQLITE_IOERR: return store_errc::unreadable;
    case SQLITE_CONSTRAINT: return store_errc::constraint;
    default: return store_errc::refused;
  }
}

int bind(sqlite3_stmt* statement, int at, const sql_argument& value) noexcept {
  const std::string_view text = value.text();
  const char* data = text.data() != nullptr ? text.data() : "";
  switch (value.what()) {
    case sql_argument::kind::null: return sqlite3_bind_null(statement, at);
    case sql_argument::kind::integer: return sqlite3_bind_int64(statement, at, value.integer());
    case sql_argument::kind::real: return sqlite3_bind_double(statement, at, value.real());
    case sql_argument::kind::text:
      return sqlite3_bind_text64(statement, at, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
    case sql_argument::kind::blob: return sqlite3_bind_blob64(statement, at, data, text.size(), SQLITE_STATIC);
  }
  return SQLITE_MISUSE;
}

}  // namespace

void sql_connection::finalizer::operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }

// A statement while it runs: taken out of the kept ones, so that a job may use the same text twice at once.
class sql_connection::use {
 public:
  use(sql_connection& owner, statement_map::node_type statement) noexcept
      : owner_{owner}, statement_{std::move(statement)} {}
  use(const use&) = delete;
  use& operator=(const use&) = delete;
  ~use() {
    sqlite3_reset(get());
    sqlite3_clear_bindings(get());
    if (owner_.statements_.size() >= most_statements) owner_.statements_.clear();
    owner_.statements_.insert(std::move(statement_));
  }

  [[nodiscard]] sqlite3_stmt* get() const noexcept { return statement_.mapped().get(); }

  [[nodiscard]] int bind_all(std::span<const sql_argument> args) const noexcept {
    if (std::cmp_not_equal(args.size(), sqlite3_bind_parameter_count(get()))) return SQLITE_RANGE;
    int at = 0;
    for (const sql_argument& value : args) {
      if (const int rc = bind(get(), ++at, value); rc != SQLITE_OK) return rc;
    }
    return SQLITE_OK;
  }

 private:
  sql_connection& owner_;
  statement_map::node_type statement_;
};

store_result<std::unique_ptr<sql_connection>> sql_connection::open(const std::string& path, sql_access access,
                                                                   sql_sync sync, std::chrono::milliseconds busy) {
  sqlite3* handle = nullptr;
  const int flags =
      (access == sql_access::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int rc = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  std::unique_ptr<sql_connection> made{new sql_connection{handle, path, busy}};
  if (rc != SQLITE_OK) return made->failure(rc);
  sqlite3_busy_handler(handle, &sql_connection::on_busy, made.get());
  // Two processes that make the file at the same time get in each other's way without the busy handler being asked.
  for (int count = 0;; ++count) {
    auto done = made->set_up(access, sync);
    if (done) return made;
    if (done.error().code != store_errc::busy || on_busy(made.get(), count) == 0) {
      return std::unexpected{std::move(done).error()};
    }
  }
}

store_result<void> sql_connection::set_up(sql_access access, sql_sync sync) {
  if (auto done = script("PRAGMA foreign_keys=ON"); !done) return done;
  if (access == sql_access::read_write) {
    std::string mode;
    auto set = select(
        "PRAGMA journal_mode=WAL", {},
        [](void* out, const sql_row& row) {
          *static_cast<std::string*>(out) = row.text(0);
          return true;
        },
        &mode);
    if (!set) return std::unexpected{std::move(set).error()};
    if (mode != "wal") {
      return std::unexpected{store_error{store_errc::unreadable, "the database '" + path_ +
                                                                     "' cannot be used in WAL mode: its file system "
                                                                     "has no shared memory"}};
    }
    if (auto done = script(sync == sql_sync::full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"); !done) {
      return done;
    }
  }
  // The first read of the file finds out whether it is a database.
  return command("PRAGMA schema_version");
}

sql_connection::sql_connection(sqlite3* handle, std::string path, std::chrono::milliseconds busy) noexcept
    : handle_{handle}, path_{std::move(path)}, busy_{busy} {}

sql_connection::~sql_connection() {
  statements_.clear();
  sqlite3_close(handle_);
}

std::unexpected<store_error> sql_connection::failure(int code) const {
  const store_errc what = errc_of(code);
  const std::string detail = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  std::string text = "the database '" + path_ + "' ";
  switch (what) {
    case store_errc::corrupt: text += "is damaged or is no database: "; break;
    case store_errc::unreadable: text += "cannot be read or written: "; break;
    case store_errc::full: text += "has no room left on its file system: "; break;
    case store_errc::busy: text += "is held by another process: "; break;
    case store_errc::constraint: text += "refuses the change: "; break;
    default: text += "refuses the statement: "; break;
  }
  return std::unexpected{store_error{what, text + detail}};
}

// Another process holds the database: pause inside the picture, longer each time, until the limit.
int sql_connection::on_busy(void* self, int count) noexcept {
  auto& me = *static_cast<sql_connection*>(self);
  const std::int64_t now = sys::steady_now_ns();
  if (count == 0) me.busy_since_ns_ = now;
  const std::int64_t left =
      me.busy_since_ns_ + std::chrono::duration_cast<std::chrono::nanoseconds>(me.busy_).count() - now;
  if (left <= 0) return 0;
  const std::int64_t pause = std::min({left, longest_pause_ns, std::int64_t{200'000} << std::min(count, 10)});
  const deadline until = deadline::at_ns(now + pause);
  park::thread_wait wait{park::resource::of(resource_kind::other, self, "SQLite write lock"), until,
                         std::source_location::current()};
  (void)wait.park(until, {});
  return 1;
}

store_result<sql_connection::statement_map::node_type> sql_connection::prepare(std::string_view sql) {
  if (auto kept = statements_.find(sql); kept != statements_.end()) return statements_.extract(kept);
  sqlite3_stmt* statement = nullptr;
  const int rc = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                    &statement, nullptr);
  if (rc != SQLITE_OK) return failure(rc);
  if (statement == nullptr) return std::unexpected{store_error{store_errc::refused, "the statement is empty"}};
  return statements_.extract(statements_.emplace(std::string{sql}, prepared{statement}).first);
}

store_result<std::size_t> sql_connection::select(std::string_view sql, std::span<const sql_argument> args,
                                                 row_function on_row, void* call) {
  auto statement = prepare(sql);
  if (!statement) return std::unexpected{std::move(statement).error()};
  const use running{*this, *std::move(statement)};
  if (const int rc = running.bind_all(args); rc != SQLITE_OK) {
    return std::unexpected{
        store_error{store_errc::refused, "wrong number or kind of arguments for: " + std::string{sql}}};
  }
  const sql_row row{running.get()};
  for (std::size_t rows = 0;; ++rows) {
    const int rc = sqlite3_step(running.get());
    if (rc == SQLITE_DONE) return rows;
    if (rc != SQLITE_ROW) return failure(rc);
    if (!on_row(call, row)) return rows + 1;
  }
}

store_result<std::int64_t> sql_connection::change(std::string_view sql, std::span<const sql_argument> args) {
  auto done = select(sql, args, [](void*, const sql_row&) { return true; }, nullptr);
  if (!done) return std::unexpected{std::move(done).error()};
  return sqlite3_changes64(handle_);
}

store_result<void> sql_connection::command(std::string_view sql) {
  auto done = select(sql, {}, [](void*, const sql_row&) { return true; }, nullptr);
  if (!done) return std::unexpected{std::move(done).error()};
  return {};
}

store_result<void> sql_connection::script(const std::string& sql) {
  const int rc = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (rc != SQLITE_OK) return failure(rc);
  return {};
}

std::int64_t sql_connection::last_row_id() const noexcept { return sqlite3_last_insert_rowid(handle_); }

bool sql_connection::in_transaction() const noexcept { return sqlite3_get_autocommit(handle_) == 0; }

store_result<void> sql_connection::verify() {
  std::string problem;
  auto read = select(
      "PRAGMA quick_check(1)", {},
      [](void* out, const sql_row& row) {
        *static_cast<std::string*>(out) = row.text(0);
        return false;
      },
      &problem);
  if (!read) return std::unexpected{std::move(read).error()};
  if (problem == "ok") return {};
  return std::unexpected{store_error{
      store_errc::corrupt, "the database '" + path_ + "' is damaged: " + problem.substr(0, problem.find('\n'))}};
}

// --- what a job sees ---

int sql_row::columns() const noexcept { return sqlite3_column_count(statement_); }
bool sql_row::is_null(int column) const noexcept { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
std::int64_t sql_row::integer(int column) const noexcept { return sqlite3_column_int64(statement_, column); }
double sql_row::real(int column) const noexcept { return sqlite3_column_double(statement_, column); }

std::string_view sql_row::text(int column) const noexcept {
  const bool is_blob = sqlite3_column_type(statement_, column) == SQLITE_BLOB;
  const void* data = is_blob ? sqlite3_column_blob(statement_, column)
                             : static_cast<const void*>(sqlite3_column_text(statement_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string_view{} : std::string_view{static_cast<const char*>(data), size};
}

store_result<std::size_t> sql_view::select(std::string_view sql, std::span<const sql_argument> args,
                                           row_function on_row, void* call) {
  return connection_.select(sql, args, on_row, call);
}

store_result<std::int64_t> sql_transaction::change(std::string_view sql, std::span<const sql_argument> args) {
  return connection().change(sql, args);
}

store_result<void> sql_transaction::script(const std::string& sql) { return connection().script(sql); }

std::int64_t sql_transaction::last_row_id() const noexcept {
  return const_cast<sql_transaction*>(this)->connection().last_row_id();
}

}  // namespace heddle::dist
