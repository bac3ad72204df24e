#pragma once

#include <heddle/channel/channel.hpp>
#include <heddle/dist/internal/sql_connection.hpp>
#include <heddle/dist/store_error.hpp>
#include <heddle/dist/store_job.hpp>
#include <heddle/park/executor.hpp>
#include <heddle/task/task.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace heddle::dist {

using write_job = store_job<sql_transaction>;

/// The one that writes to a database: takes jobs from a bounded channel and commits them in groups, each group with one
/// flush. A task on the executor that is given. The destructor closes the channel and waits until what was accepted is
/// done.
class group_writer {
 public:
  group_writer(std::unique_ptr<sql_connection> connection, executor& runs_on, std::size_t queued, std::size_t group);
  group_writer(const group_writer&) = delete;
  group_writer& operator=(const group_writer&) = delete;
  ~group_writer();

  /// Closes the channel and blocks until what was accepted is done.
  void close() noexcept;

  /// Waits for room in the channel. False: it is closed. A stopped task unwinds, and the job was not accepted.
  [[nodiscard]] task<bool> send(write_job& job);
  [[nodiscard]] bool send_blocking(write_job& job);

  struct figures {
    std::atomic<std::uint64_t> writes{0};
    std::atomic<std::uint64_t> failed{0};
    std::atomic<std::uint64_t> commits{0};
    std::atomic<std::uint64_t> largest{0};
  };
  [[nodiscard]] const figures& count() const noexcept { return count_; }
  [[nodiscard]] std::size_t queued() const noexcept { return jobs_.size(); }

 private:
  [[nodiscard]] task<void> work();
  void commit(std::span<write_job* const> group) noexcept;
  [[nodiscard]] store_result<void> run(std::span<write_job* const> group, std::uint64_t& kept);
  [[nodiscard]] store_result<void> finish();

  std::unique_ptr<sql_connection> connection_;  // used by the writer's task only
  std::size_t group_;
  channel<write_job*> jobs_;
  finish_line ended_{"writer"};
  figures count_;
};

}  // namespace heddle::dist
