#pragma once

#include <heddle/dist/sql.hpp>
#include <heddle/dist/sqlite_store.hpp>
#include <heddle/dist/store_error.hpp>
#include <heddle/sync/backoff.hpp>
#include <heddle/task/sleep.hpp>
#include <heddle/task/task.hpp>

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace heddle::dist {

/// A value and how often it has been written; version 0 means that there is none.
struct versioned_record {
  std::string value;
  std::int64_t version = 0;
};

/// Another has written the record since it was read.
struct conflict_error {
  std::int64_t expected = 0;   ///< the version that was read
  std::int64_t actual = 0;     ///< the version that is there
  std::uint32_t attempts = 0;  ///< how often it was tried
};

/// Why a versioned write failed: the version, or the store.
using versioned_error = std::variant<conflict_error, store_error>;
template <class T>
using versioned_result = std::expected<T, versioned_error>;

/// Passed for the version: write whatever is there.
inline constexpr std::int64_t any_version = -1;

struct versioned_options {
  std::string collection = "default";  ///< keys of different collections are different
  backoff_options retry{};             ///< the pauses of update(), and how often it tries
};

struct versioned_stats {
  std::uint64_t writes = 0;
  std::uint64_t conflicts = 0;  ///< writes that were refused because the version had moved on
  std::uint64_t exhausted = 0;  ///< updates that gave up
};

/// Records by key that are changed only by those who have seen their newest version: optimistic concurrency, without
/// locks held between reading and writing.
///
/// - A write with an old version is refused and says both versions. [test: versioned.an_old_version_is_refused]
/// - No update is lost: counters equal the acknowledged increments. [test: versioned.no_acknowledged_increment_is_lost]
///
/// Thread-safety: all members from any thread. The store must outlive it.
class versioned {
 public:
  /// Makes or migrates its table. Blocks.
  [[nodiscard]] static store_result<std::unique_ptr<versioned>> open(sqlite_store& store,
                                                                     versioned_options options = {});
  versioned(const versioned&) = delete;
  versioned& operator=(const versioned&) = delete;
  ~versioned();

  /// The record; version 0 and an empty value when there is none.
  [[nodiscard]] task<store_result<versioned_record>> read(std::string key);

  /// Writes `value` if the record's version is still `if_version` (0: if there is none; any_version: in any case).
  /// @return the new version.
  [[nodiscard]] task<versioned_result<std::int64_t>> put(std::string key, std::string value, std::int64_t if_version);

  /// read() and put() inside a write job. Return a conflict from the job, so that it is undone.
  [[nodiscard]] store_result<versioned_record> read_in(sql_view& view, std::string_view key);
  [[nodiscard]] versioned_result<std::int64_t> put_in(sql_transaction& transaction, std::string_view key,
                                                      std::string_view value, std::int64_t if_version);

  /// Reads, lets `change(const versioned_record&)` make the new value, writes; on a conflict pauses with full jitter and
  /// begins again, as often as the options allow.
  /// @param change a std::string (the new value), or std::optional<std::string> (empty: leave it as it is).
  /// @return the record as it is then. conflict_error when it gave up.
  /// - It gives up with the versions and the number of attempts. [test: versioned.an_update_gives_up_and_says_so]
  template <std::invocable<const versioned_record&> Change>
  [[nodiscard]] task<versioned_result<versioned_record>> update(std::string key, Change change) {
    return retry([this, key = std::move(key), change = std::move(change)]() mutable { return once(key, change); });
  }

  /// The loop of update() for an operation of one's own, as one that changes several records in one job: runs
  /// `body()`, a task of versioned_result<T>, until it ends in anything but a conflict, or the options' budget is spent.
  /// `body` is kept until the end, so it may capture.
  template <class Body>
  [[nodiscard]] std::invoke_result_t<Body&> retry(Body body) {
    backoff pauses{new_backoff()};
    for (;;) {
      auto result = co_await body();
      if (result) co_return std::move(result);
      auto* conflict = std::get_if<conflict_error>(&result.error());
      if (conflict == nullptr) co_return std::move(result);
      const auto pause = pauses.next();
      if (!pause) {
        note_exhausted();
        conflict->attempts = pauses.attempts();
        co_return std::move(result);
      }
      co_await sleep_for(*pause);
    }
  }

  [[nodiscard]] versioned_stats stats() const noexcept;

 private:
  struct state;
  explicit versioned(std::unique_ptr<state> s) noexcept;

  // One attempt of update(). `change` is the one kept by retry()'s frame.
  template <class Change>
  task<versioned_result<versioned_record>> once(const std::string& key, Change& change) {
    auto found = co_await read(key);
    if (!found) co_return std::unexpected{versioned_error{std::move(found).error()}};
    std::optional<std::string> next = change(std::as_const(*found));
    if (!next) co_return *std::move(found);
    auto written = co_await put(key, *next, found->version);
    if (!written) co_return std::unexpected{std::move(written).error()};
    co_return versioned_record{*std::move(next), *written};
  }

  [[nodiscard]] backoff new_backoff() const noexcept;
  void note_exhausted() noexcept;

  std::unique_ptr<state> state_;
};

}  // namespace heddle::dist
