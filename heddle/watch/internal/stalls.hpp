#pragma once

#include <heddle/park/internal/picture.hpp>
#include <heddle/park/internal/running.hpp>
#include <heddle/watch/report.hpp>
#include <heddle/watch/settings.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace heddle::watch {

/// Finds items that keep a thread of their executor for too long, by comparing what the threads run at two moments: by
/// computing, or as a task that blocks its thread in a wait. One owner.
///
/// A job (not a task) that waits is a wait, and no stall; nor is a wait in whose place another thread works.
/// - One item that runs for too long is told once. [test: stalls.one_item_that_runs_for_too_long_is_told_once]
/// - Many short ones are nothing. [test: stalls.many_short_items_are_nothing]
/// - A task that blocks its thread is told with the place. [test: stalls.a_task_that_blocks_its_thread_is_told_with_the_place]
class stalls {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  [[nodiscard]] std::vector<report> study(const std::vector<running_threads::one>& busy, const park::picture& seen,
                                          time_point now, const settings& wanted);

 private:
  struct run {
    std::uint64_t items;
    time_point since;  // the look that saw it first
    bool told;
  };
  std::map<std::pair<std::uint32_t, const void*>, run> runs_;  // by thread and executor
};

}  // namespace heddle::watch
