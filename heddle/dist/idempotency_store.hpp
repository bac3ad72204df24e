#pragma once

#include <heddle/dist/sql.hpp>
#include <heddle/dist/sqlite_store.hpp>
#include <heddle/dist/store_error.hpp>
#include <heddle/task/task.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace heddle::dist {

/// What a client's idempotency key belongs to: the same key of another tenant or operation is another key.
struct idempotency_key {
  std::string tenant;
  std::string operation;
  std::string key;
};

/// The answer that was given, to be given again byte for byte.
struct recorded_answer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

/// The right to work on a key. At most one attempt of a key is alive; what a later one has taken over, an earlier one can
/// no longer write.
class attempt {
 public:
  [[nodiscard]] const idempotency_key& key() const noexcept { return key_; }

  /// 1 for the first attempt, one more for each that takes over.
  [[nodiscard]] std::int64_t token() const noexcept { return token_; }

  /// The last recovery point that this or an earlier attempt has set: where to go on; empty at the beginning.
  [[nodiscard]] const std::string& recovery_point() const noexcept { return recovery_point_; }

  /// A key to send downstream for one purpose ("charge", "refund"): the same for all attempts of this key, different for
  /// every other key and purpose, and not to be guessed. At most 33 bytes longer than `purpose`.
  [[nodiscard]] std::string derived_key(std::string_view purpose) const;

 private:
  friend class idempotency_store;
  idempotency_key key_;
  std::int64_t token_ = 0;
  std::string recovery_point_;
  std::string seed_;
};

/// What begin() found.
struct run_attempt {
  attempt work;  ///< do the work, then complete it, or give it back with fail_retryable or mark_indeterminate
};
struct replay {
  recorded_answer answer;  ///< it was done: give these bytes again
};
struct mismatch {};  ///< the key was used with other content: 422
struct in_progress {
  std::chrono::milliseconds retry_after{};  ///< another attempt runs: 409; how long it is certain to be let alone
};
struct indeterminate {
  std::string recovery_point;  ///< nobody knows whether the effect happened; it has to be reconciled first: 409 or 503
};
using begun = std::variant<run_attempt, replay, mismatch, in_progress, indeterminate>;

struct idempotency_options {
  std::chrono::milliseconds attempt_ttl{30'000};  ///< after that an attempt counts as dead and is taken over
};

struct idempotency_stats {
  std::uint64_t runs = 0;  ///< attempts that were let run
  std::uint64_t replays = 0;
  std::uint64_t mismatches = 0;
  std::uint64_t in_progress = 0;
  std::uint64_t taken_over = 0;  ///< of the runs: from an attempt that had died
  std::uint64_t stale = 0;       ///< writes of attempts that had been taken over, refused
};

/// Records of operations by key, so that asking twice does it once.
///
/// A record is absent, in progress (an attempt with a token works on it), completed (replayed from then on), retryable (the
/// next begin runs it again), or indeterminate (nobody runs it until it is reconciled). It is never deleted by a failure:
/// what failed after its effect must not run again as if nothing had happened.
///
/// Once only holds if the effect and the completion commit together (complete_in inside the job that has the effect), or
/// if the effect is downstream and is asked for with derived_key(). Otherwise mark it indeterminate and reconcile.
///
/// - An operation asked for at the same time by many runs once. [test: idempotency.the_same_key_at_once_runs_once]
/// - What was completed is replayed byte for byte. [test: idempotency.replays_are_identical]
/// - The key with other content is refused. [test: idempotency.other_content_is_a_mismatch]
/// - An attempt whose time is over, or whose process has died, is taken over at its recovery point.
///   [test: idempotency.a_dead_attempt_is_taken_over_at_its_recovery_point]
/// - An attempt that was taken over can write nothing any more: stale_attempt.
///   [test: idempotency.a_stale_attempt_can_write_nothing]
///
/// Each call is one write job of the store; each has a twin `…_in` for use inside a job of one's own. Thread-safety: all
/// members from any thread. The store must outlive it.
class idempotency_store {
 public:
  /// Makes or migrates its tables. Blocks.
  [[nodiscard]] static store_result<std::unique_ptr<idempotency_store>> open(sqlite_store& store,
                                                                             idempotency_options options = {});
  idempotency_store(const idempotency_store&) = delete;
  idempotency_store& operator=(const idempotency_store&) = delete;
  ~idempotency_store();

  /// Asks to run the operation.
  /// @param fingerprint of the request's content, so that a reused key is noticed; any bytes.
  [[nodiscard]] task<store_result<begun>> begin(idempotency_key key, std::string fingerprint);

  /// The work is done, with this answer, be it a success or an error that would come again.
  [[nodiscard]] task<store_result<void>> complete(attempt work, recorded_answer answer);

  /// The work has certainly had no effect, or only effects that a derived key makes harmless to ask for again.
  [[nodiscard]] task<store_result<void>> fail_retryable(attempt work);

  /// Nobody knows whether the effect happened. It is not run again until reconcile() has taken it.
  /// - It is not run again by itself. [test: idempotency.an_indeterminate_record_waits_for_reconciliation]
  [[nodiscard]] task<store_result<void>> mark_indeterminate(attempt work);

  /// Remembers how far the work has come, and that the attempt is alive.
  [[nodiscard]] task<store_result<void>> set_recovery_point(attempt work, std::string point);

  /// Takes over an indeterminate record, to find out and then complete or fail_retryable it.
  /// @return stale_attempt when the record is not indeterminate.
  [[nodiscard]] task<store_result<attempt>> reconcile(idempotency_key key);

  /// Deletes completed records that were last written longer ago than `age`; returns how many.
  [[nodiscard]] task<store_result<std::int64_t>> forget_older_than(std::chrono::seconds age);

  [[nodiscard]] store_result<begun> begin_in(sql_transaction& transaction, const idempotency_key& key,
                                             std::string_view fingerprint);
  [[nodiscard]] store_result<void> complete_in(sql_transaction& transaction, const attempt& work,
                                               const recorded_answer& answer);
  [[nodiscard]] store_result<void> fail_retryable_in(sql_transaction& transaction, const attempt& work);
  [[nodiscard]] store_result<void> mark_indeterminate_in(sql_transaction& transaction, const attempt& work);
  [[nodiscard]] store_result<void> set_recovery_point_in(sql_transaction& transaction, const attempt& work,
                                                         std::string_view point);
  [[nodiscard]] store_result<attempt> reconcile_in(sql_transaction& transaction, const idempotency_key& key);

  [[nodiscard]] idempotency_stats stats() const noexcept;

 private:
  struct state;
  explicit idempotency_store(std::unique_ptr<state> s) noexcept;
  std::unique_ptr<state> state_;
};

}  // namespace heddle::dist
