// Locks in an SQLite file that is shared by the processes of one machine.
//
// State. One row for each name, never deleted: token, owner, boot id, end on the boot clock. It is free when owner is
//   null. Beside the file, the folder `<file>-owners` has one file for each owner, on which the owner holds a kernel lock
//   for as long as it lives.
// Invariants.
//   I1  The token of a row never falls, and rises by one with each grant: so tokens rise over crashes and restarts.
//   I2  A row is granted only when it is free, its end has come, it is of an earlier start of the machine, or its
//       owner's file is not locked. All of it inside one immediate transaction, so that two processes cannot both see it.
//   I3  An owner's file is locked before its first row is written, and its name is never used again: an unlocked or
//       missing file means that the process is dead.
// Cost. One transaction for all requests that arrive together, with one flush.
// Rejected. Waking waiters of other processes through a futex in a shared mapping: they look again after a pause instead.

#include <heddle/dist/internal/group_writer.hpp>
#include <heddle/dist/internal/lock_engine.hpp>
#include <heddle/dist/internal/sql_connection.hpp>
#include <heddle/sys/identity.hpp>
#include <heddle/sys/lock_file.hpp>

#include <chrono>
#include <optional>
#include <utility>

namespace heddle::dist {
namespace {

constexpr std::size_t queued = 1024;
constexpr std::size_t group = 256;
constexpr std::chrono::milliseconds busy{2'000};

constexpr std::string_view schema =
    "CREATE TABLE IF NOT EXISTS heddle_locks (name TEXT PRIMARY KEY, token INTEGER NOT NULL, owner TEXT, "
    "boot TEXT NOT NULL, until_ns INTEGER NOT NULL) WITHOUT ROWID";

// The file that says that this owner lives.
class life_sign {
 public:
  life_sign() noexcept = default;
  life_sign(const life_sign&) = delete;
  life_sign& operator=(const life_sign&) = delete;
  ~life_sign() {
    if (descriptor_ < 0) return;
    sys::remove_file(path_);
    sys::close_locked(descriptor_);
  }

  store_result<void> give(const std::string& folder, const std::string& owner) {
    path_ = folder + '/' + owner;
    std::error_code why = sys::make_folder(folder);
    if (!why) {
      if (auto locked = sys::open_locked(path_)) {
        descriptor_ = *locked;
        sys::write_content(descriptor_, std::to_string(sys::process_id()));
        return {};
      } else {
        why = locked.error();
      }
    }
    return std::unexpected{store_error{store_errc::unreadable,
                                       "the lock file's folder '" + folder + "' cannot be used: " + why.message()}};
  }

 private:
  std::string path_;
  int descriptor_ = -1;
};

class sqlite_locks final : public lock_engine {
 public:
  static store_result<std::unique_ptr<lock_engine>> open(const std::string& path, std::string owner,
                                                         executor& blocking) {
    auto connection = sql_connection::open(path, sql_access::read_write, sql_sync::full, busy);
    if (!connection) return std::unexpected{std::move(connection).error()};
    if (auto made = (*connection)->command(schema); !made) return std::unexpected{std::move(made).error()};
    std::unique_ptr<sqlite_locks> made{new sqlite_locks{path + "-owners", std::move(owner)}};
    if (auto alive = made->alive_.give(made->folder_, made->owner_); !alive) {
      return std::unexpected{std::move(alive).error()};
    }
    made->writer_.emplace(*std::move(connection), blocking, queued, group);
    return made;
  }

  [[nodiscard]] engine_traits traits() const noexcept override {
    return {"sqlite", fence::strict, false, "one machine, one boot clock"};
  }

  [[nodiscard]] task<void> ask(std::span<lock_request> requests) override {
    job questions{*this, requests};
    if (co_await writer_->send(questions)) {
      co_await questions.done.async_wait();
    } else {
      questions.refuse();
    }
  }

  void ask_blocking(std::span<lock_request> requests) override {
    job questions{*this, requests};
    if (writer_->send_blocking(questions)) {
      questions.done.wait();
    } else {
      questions.refuse();
    }
  }

 private:
  class job final : public write_job {
   public:
    job(sqlite_locks& engine, std::span<lock_request> requests) noexcept : engine_{engine}, requests_{requests} {}

    [[nodiscard]] bool run(sql_transaction& transaction) noexcept override {
      const std::int64_t now = sys::boot_now_ns();
      for (lock_request& request : requests_) {
        if (auto answered = engine_.answer(transaction, request, now); !answered) {
          mark(lock_error::unavailable);
          return false;
        }
      }
      return true;
    }

    void finished() noexcept override {
      if (failure_) {
        mark(failure_->code == store_errc::outcome_unknown ? lock_error::outcome_unknown : lock_error::unavailable);
      }
      write_job::finished();
    }

    void refuse() noexcept { mark(lock_error::unavailable); }

   private:
    void mark(lock_error why) noexcept {
      for (lock_request& request : requests_) {
        request.done = false;
        request.error = why;
      }
    }

    sqlite_locks& engine_;
    std::span<lock_request> requests_;
  };

  sqlite_locks(std::string folder, std::string owner) : folder_{std::move(folder)}, owner_{std::move(owner)} {}

  [[nodiscard]] store_result<void> answer(sql_transaction& transaction, lock_request& request, std::int64_t now) {
    switch (request.ask) {
      case lock_request::what::acquire: return acquire(transaction, request, now);
      case lock_request::what::renew:
        return changes_one(request,
                           transaction.execute("UPDATE heddle_locks SET until_ns = ?4 WHERE name = ?1 AND "
                                               "token = ?2 AND owner = ?3 AND until_ns > ?5",
                                               request.name, request.token, owner_, now + request.ttl_ns, now));
      case lock_request::what::release:
        return changes_one(request, transaction.execute("UPDATE heddle_locks SET owner = NULL WHERE name = ?1 AND "
                                                        "token = ?2 AND owner = ?3 AND until_ns > ?4",
                                                        request.name, request.token, owner_, now));
    }
    return {};
  }

  static store_result<void> changes_one(lock_request& request, const store_result<std::int64_t>& changed) {
    if (!changed) return std::unexpected{changed.error()};
    request.done = *changed == 1;
    return {};
  }

  [[nodiscard]] store_result<void> acquire(sql_transaction& transaction, lock_request& request, std::int64_t now) {
    // I1, I2
    auto granted = transaction.one<std::int64_t>(
        "INSERT INTO heddle_locks (name, token, owner, boot, until_ns) VALUES (?1, 1, ?2, ?3, ?4) "
        "ON CONFLICT (name) DO UPDATE SET token = token + 1, owner = excluded.owner, boot = excluded.boot, "
        "until_ns = excluded.until_ns WHERE owner IS NULL OR boot <> excluded.boot OR until_ns <= ?5 RETURNING token",
        request.name, owner_, boot_, now + request.ttl_ns, now);
    if (!granted) return std::unexpected{std::move(granted).error()};
    if (*granted) {
      request.token = std::get<0>(**granted);
      request.done = true;
      return {};
    }
    auto held = transaction.one<std::int64_t, std::string, std::int64_t>(
        "SELECT token, owner, until_ns FROM heddle_locks WHERE name = ?", request.name);
    if (!held) return std::unexpected{std::move(held).error()};
    const auto& [token, holder, until_ns] = **held;
    request.held_until_ns = until_ns;
    if (holder == owner_ || lives(holder)) return {};
    auto taken = transaction.execute(
        "UPDATE heddle_locks SET token = token + 1, owner = ?2, boot = ?3, until_ns = ?4 WHERE name = ?1", request.name,
        owner_, boot_, now + request.ttl_ns);  // I1, I2, I3
    if (!taken) return std::unexpected{std::move(taken).error()};
    sys::remove_file(folder_ + '/' + holder);
    request.token = token + 1;
    request.done = true;
    request.taken_over = true;
    return {};
  }

  // When the kernel does not answer, the holder counts as alive: then the end of its lease decides.
  [[nodiscard]] bool lives(const std::string& holder) const {
    return sys::is_locked(folder_ + '/' + holder).value_or(true);
  }

  std::string folder_;
  std::string owner_;
  std::string boot_ = sys::boot_id();
  life_sign alive_;                     // after the writer is gone, no row is written any more
  std::optional<group_writer> writer_;  // made last
};

}  // namespace

store_result<std::unique_ptr<lock_engine>> make_sqlite_locks(const std::string& path, std::string owner,
                                                             executor& blocking) {
  return sqlite_locks::open(path, std::move(owner), blocking);
}

}  // namespace heddle::dist
