// One row for each key; every change of it is one job of the store's writer.
//
// State. state: in_progress, completed, retryable, indeterminate (a missing row is `absent`). token: the number of the last
//   attempt. owner: the opening of the store in which that attempt began. locked_until: its end on the boot clock.
// Invariants.
//   I1  A row's token never falls, and rises by one with each attempt.
//   I2  An attempt's writes say `token = mine and state = in_progress`: what has been taken over cannot write.
//   I3  A running attempt is taken over only when its time is over, or when it began in an earlier opening of the store:
//       one process has the store open, so then its process is gone, or has closed the store.
//   I4  The seed is made with the row and kept: derived keys are the same for all attempts.
// Rejected. Deleting the row when an attempt fails: the failure may have come after the effect.

#include <heddle/dist/idempotency_store.hpp>
#include <heddle/sys/identity.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <tuple>

namespace heddle::dist {
namespace {

using record_state = std::int64_t;
constexpr record_state state_in_progress = 1;
constexpr record_state state_completed = 2;
constexpr record_state state_retryable = 3;
constexpr record_state state_indeterminate = 4;

const std::vector<std::string>& schema() {
  static const std::vector<std::string> steps{
      "CREATE TABLE heddle_idempotency ("
      "tenant TEXT NOT NULL, operation TEXT NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, "
      "state INTEGER NOT NULL, token INTEGER NOT NULL, owner TEXT NOT NULL, locked_until INTEGER NOT NULL, "
      "seed TEXT NOT NULL, recovery_point TEXT NOT NULL, status INTEGER, headers BLOB, body BLOB, "
      "created_ms INTEGER NOT NULL, written_ms INTEGER NOT NULL, "
      "PRIMARY KEY (tenant, operation, key)) WITHOUT ROWID"};
  return steps;
}

// Headers as a sequence of texts, each after its length: any bytes come back as they were.
std::string pack(const std::vector<std::pair<std::string, std::string>>& headers) {
  std::string packed;
  auto add = [&](const std::string& text) {
    const std::uint64_t size = text.size();
    packed.append(reinterpret_cast<const char*>(&size), sizeof size);
    packed += text;
  };
  for (const auto& [name, value] : headers) {
    add(name);
    add(value);
  }
  return packed;
}

std::vector<std::pair<std::string, std::string>> unpack(std::string_view packed) {
  std::vector<std::string> texts;
  std::uint64_t size = 0;
  while (packed.size() >= sizeof size) {
    std::memcpy(&size, packed.data(), sizeof size);
    packed.remove_prefix(sizeof size);
    texts.emplace_back(packed.substr(0, size));
    packed.remove_prefix(std::min<std::size_t>(size, packed.size()));
  }
  std::vector<std::pair<std::string, std::string>> headers;
  for (std::size_t i = 0; i + 1 < texts.size(); i += 2) {
    headers.emplace_back(std::move(texts[i]), std::move(texts[i + 1]));
  }
  return headers;
}

template <class T>
std::unexpected<store_error> error_of(store_result<T>&& failed) {
  return std::unexpected{std::move(failed).error()};
}

}  // namespace

std::string attempt::derived_key(std::string_view purpose) const {
  std::string key{purpose};
  key += '-';
  key += seed_;
  return key;
}

struct idempotency_store::state {
  sqlite_store& store;
  idempotency_options options;
  std::atomic<std::uint64_t> runs{0};
  std::atomic<std::uint64_t> replays{0};
  std::atomic<std::uint64_t> mismatches{0};
  std::atomic<std::uint64_t> in_progress{0};
  std::atomic<std::uint64_t> taken_over{0};
  std::atomic<std::uint64_t> stale{0};

  [[nodiscard]] std::int64_t locked_until() const noexcept {
    return sys::boot_now_ns() + std::chrono::nanoseconds{options.attempt_ttl}.count();
  }

  // Starts the next attempt on an existing row.
  [[nodiscard]] store_result<void> next_attempt(sql_transaction& transaction, const idempotency_key& key,
                                                std::int64_t token) const {
    auto taken = transaction.execute(
        "UPDATE heddle_idempotency SET state = ?4, token = token + 1, owner = ?5, locked_until = ?6, written_ms = ?7 "
        "WHERE tenant = ?1 AND operation = ?2 AND key = ?3 AND token = ?8",
        key.tenant, key.operation, key.key, state_in_progress, store.instance(), locked_until(), sys::wall_now_ms(),
        token);  // I1
    if (!taken) return error_of(std::move(taken));
    return {};
  }

  // What an attempt's write changed: one row, or it has been taken over.
  [[nodiscard]] store_result<void> mine(const attempt& work, store_result<std::int64_t> changed) {
    if (!changed) return error_of(std::move(changed));
    if (*changed == 1) return {};
    stale.fetch_add(1, std::memory_order_relaxed);
    return std::unexpected{store_error{store_errc::stale_attempt, "attempt " + std::to_string(work.token()) +
                                                                      " of the key '" + work.key().key +
                                                                      "' is no longer the one that works on it"}};
  }

  [[nodiscard]] store_result<void> leave(sql_transaction& transaction, const attempt& work, record_state next) {
    return mine(work,
                transaction.execute("UPDATE heddle_idempotency SET state = ?5, written_ms = ?6 WHERE tenant = ?1 AND "
                                    "operation = ?2 AND key = ?3 AND token = ?4 AND state = 1",
                                    work.key().tenant, work.key().operation, work.key().key, work.token(), next,
                                    sys::wall_now_ms()));  // I2
  }
};

idempotency_store::idempotency_store(std::unique_ptr<state> s) noexcept : state_{std::move(s)} {}
idempotency_store::~idempotency_store() = default;

store_result<std::unique_ptr<idempotency_store>> idempotency_store::open(sqlite_store& store,
                                                                         idempotency_options options) {
  if (auto migrated = store.migrate("idempotency", schema()); !migrated) return error_of(std::move(migrated));
  return std::unique_ptr<idempotency_store>{new idempotency_store{std::unique_ptr<state>{new state{store, options}}}};
}

store_result<begun> idempotency_store::begin_in(sql_transaction& transaction, const idempotency_key& key,
                                                std::string_view fingerprint) {
  auto found =
      transaction.one<std::string, std::int64_t, std::int64_t, std::string, std::int64_t, std::string, std::string>(
          "SELECT fingerprint, state, token, owner, locked_until, seed, recovery_point FROM heddle_idempotency "
          "WHERE tenant = ? AND operation = ? AND key = ?",
          key.tenant, key.operation, key.key);
  if (!found) return error_of(std::move(found));

  attempt work;
  work.key_ = key;
  if (!*found) {
    work.token_ = 1;
    work.seed_ = sys::random_id();  // I4
    const std::int64_t now = sys::wall_now_ms();
    auto made = transaction.execute(
        "INSERT INTO heddle_idempotency (tenant, operation, key, fingerprint, state, token, owner, locked_until, seed, "
        "recovery_point, created_ms, written_ms) VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, '', ?9, ?9)",
        key.tenant, key.operation, key.key, sql_bytes(fingerprint), state_in_progress, state_->store.instance(),
        state_->locked_until(), work.seed_, now);
    if (!made) return error_of(std::move(made));
    state_->runs.fetch_add(1, std::memory_order_relaxed);
    return begun{run_attempt{std::move(work)}};
  }

  auto& [seen, how, token, owner, locked_until, seed, recovery_point] = **found;
  if (seen != fingerprint) {
    state_->mismatches.fetch_add(1, std::memory_order_relaxed);
    return begun{mismatch{}};
  }
  if (how == state_completed) {
    auto answer = transaction.one<int, std::string, std::string>(
        "SELECT status, headers, body FROM heddle_idempotency WHERE tenant = ? AND operation = ? AND key = ?",
        key.tenant, key.operation, key.key);
    if (!answer) return error_of(std::move(answer));
    auto& [status, headers, body] = **answer;
    state_->replays.fetch_add(1, std::memory_order_relaxed);
    return begun{replay{recorded_answer{status, unpack(headers), std::move(body)}}};
  }
  if (how == state_indeterminate) return begun{indeterminate{std::move(recovery_point)}};
  if (how == state_in_progress) {
    const std::int64_t left = locked_until - sys::boot_now_ns();
    if (owner == state_->store.instance() && left > 0) {  // I3
      state_->in_progress.fetch_add(1, std::memory_order_relaxed);
      return begun{in_progress{std::chrono::ceil<std::chrono::milliseconds>(std::chrono::nanoseconds{left})}};
    }
    state_->taken_over.fetch_add(1, std::memory_order_relaxed);
  }
  if (auto next = state_->next_attempt(transaction, key, token); !next) return error_of(std::move(next));
  work.token_ = token + 1;
  work.seed_ = std::move(seed);
  work.recovery_point_ = std::move(recovery_point);
  state_->runs.fetch_add(1, std::memory_order_relaxed);
  return begun{run_attempt{std::move(work)}};
}

store_result<void> idempotency_store::complete_in(sql_transaction& transaction, const attempt& work,
                                                  const recorded_answer& answer) {
  const std::string headers = pack(answer.headers);
  return state_->mine(
      work, transaction.execute("UPDATE heddle_idempotency SET state = 2, status = ?5, headers = ?6, body = ?7, "
                                "written_ms = ?8 WHERE tenant = ?1 AND operation = ?2 AND key = ?3 AND token = ?4 AND "
                                "state = 1",
                                work.key().tenant, work.key().operation, work.key().key, work.token(), answer.status,
                                sql_bytes(headers), sql_bytes(answer.body), sys::wall_now_ms()));  // I2
}

store_result<void> idempotency_store::fail_retryable_in(sql_transaction& transaction, const attempt& work) {
  return state_->leave(transaction, work, state_retryable);
}

store_result<void> idempotency_store::mark_indeterminate_in(sql_transaction& transaction, const attempt& work) {
  return state_->leave(transaction, work, state_indeterminate);
}

store_result<void> idempotency_store::set_recovery_point_in(sql_transaction& transaction, const attempt& work,
                                                            std::string_view point) {
  return state_->mine(
      work, transaction.execute("UPDATE heddle_idempotency SET recovery_point = ?5, locked_until = ?6, written_ms = ?7 "
                                "WHERE tenant = ?1 AND operation = ?2 AND key = ?3 AND token = ?4 AND state = 1",
                                work.key().tenant, work.key().operation, work.key().key, work.token(), point,
                                state_->locked_until(), sys::wall_now_ms()));  // I2
}

store_result<attempt> idempotency_store::reconcile_in(sql_transaction& transaction, const idempotency_key& key) {
  auto found = transaction.one<std::int64_t, std::int64_t, std::string, std::string>(
      "SELECT state, token, seed, recovery_point FROM heddle_idempotency WHERE tenant = ? AND operation = ? AND key = "
      "?",
      key.tenant, key.operation, key.key);
  if (!found) return error_of(std::move(found));
  if (!*found || std::get<0>(**found) != state_indeterminate) {
    return std::unexpected{
        store_error{store_errc::stale_attempt, "the key '" + key.key + "' has nothing to reconcile"}};
  }
  auto& [how, token, seed, recovery_point] = **found;
  if (auto next = state_->next_attempt(transaction, key, token); !next) return error_of(std::move(next));
  attempt work;
  work.key_ = key;
  work.token_ = token + 1;
  work.seed_ = std::move(seed);
  work.recovery_point_ = std::move(recovery_point);
  return work;
}

// --- as jobs of their own ---

task<store_result<begun>> idempotency_store::begin(idempotency_key key, std::string fingerprint) {
  co_return co_await state_->store.write(
      [&](sql_transaction& transaction) { return begin_in(transaction, key, fingerprint); });
}

task<store_result<void>> idempotency_store::complete(attempt work, recorded_answer answer) {
  co_return co_await state_->store.write(
      [&](sql_transaction& transaction) { return complete_in(transaction, work, answer); });
}

task<store_result<void>> idempotency_store::fail_retryable(attempt work) {
  co_return co_await state_->store.write(
      [&](sql_transaction& transaction) { return fail_retryable_in(transaction, work); });
}

task<store_result<void>> idempotency_store::mark_indeterminate(attempt work) {
  co_return co_await state_->store.write(
      [&](sql_transaction& transaction) { return mark_indeterminate_in(transaction, work); });
}

task<store_result<void>> idempotency_store::set_recovery_point(attempt work, std::string point) {
  co_return co_await state_->store.write(
      [&](sql_transaction& transaction) { return set_recovery_point_in(transaction, work, point); });
}

task<store_result<attempt>> idempotency_store::reconcile(idempotency_key key) {
  co_return co_await state_->store.write([&](sql_transaction& transaction) { return reconcile_in(transaction, key); });
}

task<store_result<std::int64_t>> idempotency_store::forget_older_than(std::chrono::seconds age) {
  const std::int64_t before = sys::wall_now_ms() - std::chrono::milliseconds{age}.count();
  co_return co_await state_->store.write([&](sql_transaction& transaction) {
    return transaction.execute("DELETE FROM heddle_idempotency WHERE state = 2 AND written_ms < ?", before);
  });
}

idempotency_stats idempotency_store::stats() const noexcept {
  return {state_->runs.load(std::memory_order_relaxed),       state_->replays.load(std::memory_order_relaxed),
          state_->mismatches.load(std::memory_order_relaxed), state_->in_progress.load(std::memory_order_relaxed),
          state_->taken_over.load(std::memory_order_relaxed), state_->stale.load(std::memory_order_relaxed)};
}

}  // namespace heddle::dist
