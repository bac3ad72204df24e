// One transaction for many jobs.
//
// Invariants.
//   I1  A job's finished() is called once, after the commit of its group has returned, or has failed.
//   I2  A job runs in a savepoint of its own: undoing it undoes nothing of the others'.
//   I3  If the transaction cannot be committed, or SQLite has ended it, every job of the group is failed, also those
//       that had run well: nobody is told of a success that is not on the disk.
//   I4  After finished() the job is gone, so its group is not looked at again.
// Cost. One flush of the write-ahead log for each group; two savepoint statements for each job.
// Rejected. Running the jobs of a failed group again one by one: a closure may have acted on more than the database.

#include <heddle/dist/internal/group_writer.hpp>
#include <heddle/task/scope.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace heddle::dist {

group_writer::group_writer(std::unique_ptr<sql_connection> connection, executor& runs_on, std::size_t queued,
                           std::size_t group)
    : connection_{std::move(connection)}, group_{std::max<std::size_t>(group, 1)}, jobs_{queued, "write jobs"} {
  auto done = [this](const outcome<void>&) noexcept { ended_.cross(); };
  tasks::make_root(work(), std::move(done), runs_on, {}, "store writer").post();
}

group_writer::~group_writer() { close(); }

void group_writer::close() noexcept {
  jobs_.close();
  ended_.wait();
}

task<bool> group_writer::send(write_job& job) { co_return (co_await jobs_.async_send(&job)).has_value(); }

bool group_writer::send_blocking(write_job& job) { return jobs_.send(&job).has_value(); }

task<void> group_writer::work() {
  std::vector<write_job*> group;
  for (;;) {
    group.clear();
    if (!co_await jobs_.async_recv_many(group, group_)) co_return;
    commit(group);
  }
}

void group_writer::commit(std::span<write_job* const> group) noexcept {
  std::uint64_t kept = 0;
  auto committed = run(group, kept);
  if (!committed) {
    kept = 0;
    for (write_job* job : group) job->fail(committed.error());  // I3
  }
  count_.writes.fetch_add(kept, std::memory_order_relaxed);
  count_.failed.fetch_add(group.size() - kept, std::memory_order_relaxed);
  if (kept != 0) count_.commits.fetch_add(1, std::memory_order_relaxed);
  if (kept > count_.largest.load(std::memory_order_relaxed)) count_.largest.store(kept, std::memory_order_relaxed);
  for (write_job* job : group) job->finished();  // I1, I4
}

store_result<void> group_writer::run(std::span<write_job* const> group, std::uint64_t& kept) {
  if (auto begun = connection_->command("BEGIN IMMEDIATE"); !begun) return begun;
  for (write_job* job : group) {
    if (auto saved = connection_->command("SAVEPOINT job"); !saved) {
      (void)connection_->command("ROLLBACK");
      return saved;
    }
    sql_transaction transaction{*connection_};
    const bool keeps = job->run(transaction) && !transaction.is_rolled_back();
    if (!connection_->in_transaction()) {
      return std::unexpected{store_error{store_errc::rolled_back,
                                         "the transaction ended before its commit, by a failure or by a job; nothing "
                                         "of the group was done"}};
    }
    if (keeps) {
      ++kept;
    } else if (auto undone = connection_->command("ROLLBACK TO job"); !undone) {  // I2
      (void)connection_->command("ROLLBACK");
      return undone;
    }
    if (auto released = connection_->command("RELEASE job"); !released) {
      (void)connection_->command("ROLLBACK");
      return released;
    }
  }
  return finish();
}

store_result<void> group_writer::finish() {
  auto committed = connection_->command("COMMIT");
  if (committed) return committed;
  store_error why = std::move(committed).error();
  // A full disk or a busy database is noticed before anything counts; after a failed write or flush, nobody knows.
  const bool unsure = why.code == store_errc::unreadable || why.code == store_errc::corrupt;
  if (connection_->in_transaction()) (void)connection_->command("ROLLBACK");
  why.code = unsure ? store_errc::outcome_unknown : store_errc::rolled_back;
  why.text = (unsure ? "it is not known whether the commit is on the disk: " : "the commit failed: ") + why.text;
  return std::unexpected{std::move(why)};
}

}  // namespace heddle::dist
