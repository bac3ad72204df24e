#pragma once

#include <heddle/park/executor.hpp>

#include <atomic>
#include <cstdint>

namespace heddle {

/// Says for a scope that the calling thread runs the executor's items, so that diagnosis knows whom a blocked thread
/// keeps from running, and sees an item that does not end. For those who write executors: make one around the loop, and
/// run each item by it.
///
/// Scopes nest on a thread: a loop inside an item counts instead of the item.
/// - The thread belongs to the executor while it lives. [test: executor_scope.the_thread_belongs_to_the_executor_while_it_lives]
/// - Items are counted while they run. [test: executor_scope.an_item_is_seen_while_it_runs,
///   executor_scope.a_loop_inside_an_item_counts_instead_of_it]
///
/// Cost: two stores and one load for an item; nothing while idle.
class executor_scope {
 public:
  explicit executor_scope(executor& where) noexcept;
  ~executor_scope();
  executor_scope(const executor_scope&) = delete;
  executor_scope& operator=(const executor_scope&) = delete;

  /// Runs an item.
  void run(work_item* item) noexcept {
    begin();
    item->run(item);
    end();
  }

 private:
  friend class running_threads;
  struct after_fork;

  void begin() noexcept;
  void end() noexcept { items_.store(items_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  executor& where_;
  executor* before_;       // what the thread belonged to
  executor_scope* outer_;  // on the same thread
  bool paused_outer_;      // an item of the outer one waits for this loop
  std::uint32_t thread_;   // the kernel's id
  executor_scope* next_;   // in the list of all, under its lock
  executor_scope* previous_;
  std::atomic<std::uint64_t> items_{0};  // begun and ended: odd while one runs; written by the thread
};

}  // namespace heddle
