#pragma once

#include <heddle/dist/sql.hpp>
#include <heddle/dist/store_error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

struct sqlite3;

namespace heddle::dist {

/// How a connection is opened.
enum class sql_access : std::uint8_t { read_write, read_only };

/// How much a commit guarantees.
enum class sql_sync : std::uint8_t { full, normal };

/// One connection to an SQLite file in WAL mode, with its prepared statements. Used by one thread at a time.
class sql_connection {
 public:
  /// @param busy how long another process may hold the database before an operation fails as busy.
  [[nodiscard]] static store_result<std::unique_ptr<sql_connection>> open(const std::string& path, sql_access access,
                                                                          sql_sync sync,
                                                                          std::chrono::milliseconds busy);
  sql_connection(const sql_connection&) = delete;
  sql_connection& operator=(const sql_connection&) = delete;
  ~sql_connection();

  using row_function = bool (*)(void*, const sql_row&);
  store_result<std::size_t> select(std::string_view sql, std::span<const sql_argument> args, row_function on_row,
                                   void* call);
  store_result<std::int64_t> change(std::string_view sql, std::span<const sql_argument> args);
  [[nodiscard]] std::int64_t last_row_id() const noexcept;

  /// Runs one statement that gives no rows, as BEGIN or SAVEPOINT.
  store_result<void> command(std::string_view sql);

  /// Runs a script of several statements, unprepared.
  store_result<void> script(const std::string& sql);

  /// Whether a transaction is open; SQLite ends one by itself after some failures.
  [[nodiscard]] bool in_transaction() const noexcept;

  /// Reads the whole file and says whether it is sound.
  store_result<void> verify();

 private:
  class use;
  struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  struct finalizer {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };
  using prepared = std::unique_ptr<sqlite3_stmt, finalizer>;
  using statement_map = std::unordered_map<std::string, prepared, text_hash, std::equal_to<>>;

  sql_connection(sqlite3* handle, std::string path, std::chrono::milliseconds busy) noexcept;
  [[nodiscard]] std::unexpected<store_error> failure(int code) const;
  [[nodiscard]] store_result<statement_map::node_type> prepare(std::string_view sql);
  store_result<void> set_up(sql_access access, sql_sync sync);
  static int on_busy(void* self, int count) noexcept;

  sqlite3* handle_;
  std::string path_;
  std::chrono::milliseconds busy_;
  std::int64_t busy_since_ns_ = 0;
  statement_map statements_;
};

}  // namespace heddle::dist
