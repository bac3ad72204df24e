#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/dist/sql.hpp>
#include <heddle/dist/store_error.hpp>
#include <heddle/dist/store_job.hpp>
#include <heddle/park/executor.hpp>
#include <heddle/task/task.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace heddle::dist {

/// How a store is opened.
struct store_options {
  std::string path;                 ///< the database file; made if it is missing, its folder is not
  std::vector<std::string> schema;  ///< the application's: each a script, run once and in order, ever only added to
  std::size_t readers = 3;          ///< read connections, so the most reads at a time
  std::size_t queued = 1024;        ///< write jobs that may wait for the writer before producers wait for room
  std::size_t group = 256;          ///< the most jobs in one commit
  std::chrono::milliseconds busy{5'000};  ///< how long another process may hold the database before `busy`
  bool verify = true;                     ///< read the whole file once at the start and refuse a damaged one
};

/// What a store has done since it was opened.
struct store_stats {
  std::uint64_t writes = 0;         ///< jobs whose effect is durable
  std::uint64_t failed_writes = 0;  ///< jobs that were undone, by themselves or with their group
  std::uint64_t commits = 0;        ///< groups, so flushes to the disk
  std::uint64_t largest_group = 0;  ///< jobs in the largest commit
  std::uint64_t reads = 0;
  std::uint64_t reads_now = 0;   ///< reads that run at this moment
  std::uint64_t most_reads = 0;  ///< the most that ever ran at once
  std::uint64_t queued_now = 0;  ///< write jobs that wait for the writer
};

/// One SQLite file as an embedded store, for tasks and threads: reads run at the same time on a few connections, writes
/// are made durable in groups by one writer.
///
/// The file is in WAL mode with synchronous=FULL: what write() has answered survives a crash of the process and of the
/// machine. Only for local file systems. Blocking calls run on the executor that is given (a thread_pool), never on
/// the executor of the task that asks.
///
/// - It is opened by one process at a time; a second one is told who has it.
///   [test: sqlite_store.a_second_instance_is_told_who_has_it]
/// - A file that cannot be read, or is no sound database, is refused with one sentence.
///   [test: sqlite_store.what_is_no_database_is_refused_with_one_sentence]
/// - A write that was answered is there after a kill. [test: sqlite_store.a_kill_loses_nothing_acknowledged]
/// - Each job is done entirely or not at all. [test: sqlite_store.a_kill_loses_nothing_acknowledged]
/// - At most `readers` reads run at a time. [test: sqlite_store.no_more_reads_at_once_than_connections]
///
/// Thread-safety: all members from any thread. It must outlive its operations, and the executor must outlive it and
/// still run when it is destroyed; destroying it blocks until the jobs that were accepted are durable, so do not do it
/// on the executor's last thread.
class sqlite_store {
 public:
  /// Opens the store, makes or migrates its tables. Blocks: files are read and written.
  /// @param blocking where SQLite's calls run: a thread_pool with at least two threads.
  [[nodiscard]] static store_result<std::unique_ptr<sqlite_store>> open(store_options options, executor& blocking);

  sqlite_store(const sqlite_store&) = delete;
  sqlite_store& operator=(const sqlite_store&) = delete;
  ~sqlite_store();

  /// Runs `fn(sql_transaction&)` in the writer's next group, and gives its result once the commit is durable.
  ///
  /// A result that is an error (any std::expected without value), an exception, or roll_back() undoes the job alone. The
  /// exception is rethrown here. `fn` runs on a thread of the executor, holds up everybody's writes while it runs, and
  /// must not wait.
  /// - The result comes after the commit. [test: sqlite_store.a_kill_loses_nothing_acknowledged]
  /// - While the writer is behind, it waits for room. [test: sqlite_store.producers_wait_while_the_writer_is_behind]
  /// - A stop ends the wait for room, and the task unwinds; a job that was accepted is waited for.
  ///   [test: sqlite_store.a_stop_leaves_an_accepted_job_alone]
  template <std::invocable<sql_transaction&> Fn>
  [[nodiscard]] task<job_result_t<Fn, sql_transaction>> write(Fn fn) {
    closure_job<Fn, sql_transaction> job{fn};
    if (!co_await send(job)) co_return std::unexpected{closed_error()};
    co_await job.done.async_wait();
    co_return job.take();
  }

  /// write() for threads: blocks the calling thread. Not from a job.
  template <std::invocable<sql_transaction&> Fn>
  [[nodiscard]] job_result_t<Fn, sql_transaction> write_blocking(Fn fn) {
    closure_job<Fn, sql_transaction> job{fn};
    if (!send_blocking(job)) return std::unexpected{closed_error()};
    job.done.wait();
    return job.take();
  }

  /// Runs `fn(sql_view&)` on a read connection and gives its result. It sees all writes that were answered before it was
  /// called. Waits while all connections are taken; a stop ends that wait, and the task unwinds.
  /// - All that one read sees is of one instant. [test: sqlite_store.a_read_sees_one_instant]
  /// - A read sees what was answered before it. [test: sqlite_store.a_read_sees_what_was_answered_before]
  template <std::invocable<sql_view&> Fn>
  [[nodiscard]] task<job_result_t<Fn, sql_view>> read(Fn fn) {
    closure_job<Fn, sql_view> job{fn};
    co_await run_read(job);
    co_return job.take();
  }

  /// read() for threads: the calling thread itself reads.
  template <std::invocable<sql_view&> Fn>
  [[nodiscard]] job_result_t<Fn, sql_view> read_blocking(Fn fn) {
    closure_job<Fn, sql_view> job{fn};
    run_read_blocking(job);
    return job.take();
  }

  /// Brings the tables of one part of the program up to date: runs those of `steps` that have not been run, each with the
  /// note of it in one transaction. Blocks. Each store of this module calls it for its own tables.
  [[nodiscard]] store_result<void> migrate(std::string_view part, const std::vector<std::string>& steps);

  /// From now on writes fail as `closed`; blocks until those that were accepted are durable. Reads go on. Not from a job,
  /// and by one thread at a time. The destructor calls it.
  /// - What was accepted is done. [test: sqlite_store.what_was_accepted_is_done_before_it_is_closed]
  void close() noexcept;

  /// Unique to this opening of the store: since only one process has it open, whoever wrote another id is gone.
  [[nodiscard]] const std::string& instance() const noexcept;

  [[nodiscard]] const std::string& path() const noexcept;
  [[nodiscard]] store_stats stats() const noexcept;

 private:
  struct state;
  explicit sqlite_store(std::unique_ptr<state> s) noexcept;

  [[nodiscard]] task<bool> send(store_job<sql_transaction>& job);
  [[nodiscard]] bool send_blocking(store_job<sql_transaction>& job);
  [[nodiscard]] task<void> run_read(store_job<sql_view>& job);
  void run_read_blocking(store_job<sql_view>& job);
  [[nodiscard]] store_error closed_error() const;

  std::unique_ptr<state> state_;
};

}  // namespace heddle::dist
