#pragma once

#include <heddle/dist/store_error.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

struct sqlite3_stmt;

namespace heddle::dist {

class sql_connection;

/// A value for one `?` of a statement: null, integer, real, text or bytes. Converts from what a caller has at hand; text
/// and bytes are referred to, not copied, so they must live until the statement has run.
class sql_argument {
 public:
  enum class kind : std::uint8_t { null, integer, real, text, blob };

  constexpr sql_argument(std::nullptr_t) noexcept {}
  constexpr sql_argument(std::nullopt_t) noexcept {}
  template <std::integral T>
  constexpr sql_argument(T value) noexcept : kind_{kind::integer}, integer_{static_cast<std::int64_t>(value)} {}
  constexpr sql_argument(double value) noexcept : kind_{kind::real}, real_{value} {}
  template <class T>
    requires std::convertible_to<const T&, std::string_view>
  constexpr sql_argument(const T& value) noexcept : kind_{kind::text}, text_{value} {}
  sql_argument(std::span<const std::byte> value) noexcept
      : kind_{kind::blob}, text_{reinterpret_cast<const char*>(value.data()), value.size()} {}
  template <class T>
  constexpr sql_argument(const std::optional<T>& value) noexcept {
    if (value) *this = sql_argument{*value};
  }

  [[nodiscard]] constexpr kind what() const noexcept { return kind_; }
  [[nodiscard]] constexpr std::int64_t integer() const noexcept { return integer_; }
  [[nodiscard]] constexpr double real() const noexcept { return real_; }
  /// The text or the bytes.
  [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }

 private:
  kind kind_{kind::null};
  std::int64_t integer_{0};
  double real_{0};
  std::string_view text_;
};

/// Text as bytes, for a column that keeps whatever it is given.
[[nodiscard]] inline sql_argument sql_bytes(std::string_view text) noexcept {
  return sql_argument{std::as_bytes(std::span<const char>{text})};
}

/// One row of a result, valid only inside the call that got it. Columns count from 0; a value is converted as SQLite
/// converts: null is 0 or the empty text.
class sql_row {
 public:
  explicit sql_row(sqlite3_stmt* statement) noexcept : statement_{statement} {}

  [[nodiscard]] int columns() const noexcept;
  [[nodiscard]] bool is_null(int column) const noexcept;
  [[nodiscard]] std::int64_t integer(int column) const noexcept;
  [[nodiscard]] double real(int column) const noexcept;
  /// The text or the bytes.
  [[nodiscard]] std::string_view text(int column) const noexcept;

  /// The column as bool, an integer, double, std::string or std::optional of one of these.
  template <class T>
  [[nodiscard]] T get(int column) const {
    if constexpr (std::same_as<T, bool>) {
      return integer(column) != 0;
    } else if constexpr (std::integral<T>) {
      return static_cast<T>(integer(column));
    } else if constexpr (std::floating_point<T>) {
      return static_cast<T>(real(column));
    } else if constexpr (std::same_as<T, std::string>) {
      return std::string{text(column)};
    } else {
      return is_null(column) ? T{} : T{get<typename T::value_type>(column)};
    }
  }

 private:
  sqlite3_stmt* statement_;
};

/// What a job on a store reads through. All that one job reads is of one instant.
///
/// Statements are prepared once per connection and kept; so write them with `?` for each value, never with the value in
/// the text. Thread-safety: used only inside the job, on the thread that runs it.
class sql_view {
 public:
  explicit sql_view(sql_connection& connection) noexcept : connection_{connection} {}
  sql_view(const sql_view&) = delete;
  sql_view& operator=(const sql_view&) = delete;

  /// Calls `on_row(const sql_row&)` for each row; when it returns false, the rest is left.
  /// @return how many rows were given. What `on_row` throws passes through.
  template <std::invocable<const sql_row&> OnRow, class... Args>
  store_result<std::size_t> each(std::string_view sql, OnRow&& on_row, const Args&... args) {
    using function = std::remove_reference_t<OnRow>;
    const std::array<sql_argument, sizeof...(Args)> bound{sql_argument{args}...};
    return select(
        sql, bound,
        [](void* call, const sql_row& row) {
          if constexpr (std::same_as<std::invoke_result_t<OnRow, const sql_row&>, bool>) {
            return (*static_cast<function*>(call))(row);
          } else {
            (*static_cast<function*>(call))(row);
            return true;
          }
        },
        const_cast<void*>(static_cast<const void*>(std::addressof(on_row))));
  }

  /// The first row's columns as the given types, or nothing: `one<std::int64_t, std::string>("SELECT …", id)`.
  template <class... Columns, class... Args>
  store_result<std::optional<std::tuple<Columns...>>> one(std::string_view sql, const Args&... args) {
    std::optional<std::tuple<Columns...>> found;
    auto take = [&]<std::size_t... I>(const sql_row& row, std::index_sequence<I...>) {
      found.emplace(row.get<Columns>(static_cast<int>(I))...);
    };
    auto read = each(
        sql,
        [&](const sql_row& row) {
          take(row, std::index_sequence_for<Columns...>{});
          return false;
        },
        args...);
    if (!read) return std::unexpected{std::move(read).error()};
    return found;
  }

 protected:
  using row_function = bool (*)(void*, const sql_row&);
  store_result<std::size_t> select(std::string_view sql, std::span<const sql_argument> args, row_function on_row,
                                   void* call);
  [[nodiscard]] sql_connection& connection() noexcept { return connection_; }

 private:
  sql_connection& connection_;
};

/// What a write job changes the store through: a transaction that others share, in which the job has a savepoint.
///
/// - A job that returns an error, throws, or calls roll_back() leaves nothing behind, and those beside it are not hurt.
///   [test: sqlite_store.a_failing_job_does_not_hurt_its_group]
class sql_transaction : public sql_view {
 public:
  using sql_view::sql_view;

  /// Runs a statement that changes something.
  /// @return how many rows it changed.
  template <class... Args>
  store_result<std::int64_t> execute(std::string_view sql, const Args&... args) {
    const std::array<sql_argument, sizeof...(Args)> bound{sql_argument{args}...};
    return change(sql, bound);
  }

  /// Runs several statements, separated by semicolons, without values: for schemas.
  store_result<void> script(const std::string& sql);

  /// The row id that the last INSERT made.
  [[nodiscard]] std::int64_t last_row_id() const noexcept;

  /// Undoes what the job has done and will do; its result is still delivered.
  void roll_back() noexcept { rolled_back_ = true; }
  [[nodiscard]] bool is_rolled_back() const noexcept { return rolled_back_; }

 private:
  store_result<std::int64_t> change(std::string_view sql, std::span<const sql_argument> args);

  bool rolled_back_ = false;
};

}  // namespace heddle::dist
