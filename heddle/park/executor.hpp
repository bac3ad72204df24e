#pragma once

namespace heddle {

/// One thing to run, linked by whoever keeps it; posting allocates nothing.
///
/// The object belongs to the one who posts it and must live until `run` is called; `run` may destroy it.
/// - `run` may destroy the item. [test: run_loop.an_item_may_destroy_itself]
struct work_item {
  work_item* next = nullptr;                   ///< for the executor that holds it
  void (*run)(work_item*) noexcept = nullptr;  ///< called once per post, on one of the executor's threads
};

/// Runs work items: thread_pool, io::event_loop and whatever a user writes.
///
/// An implementation calls `item.run(&item)` exactly once per post, never inside post(), and touches neither the item
/// nor anything it refers to afterwards. Thread-safety: post() may be called from any thread, also from a work item.
/// - An item never runs inside post(). [test: run_loop.never_runs_an_item_inside_post]
/// - post() may be called from any thread. [test: run_loop.wakes_up_for_what_other_threads_post]
class executor {
 public:
  executor() = default;
  executor(const executor&) = delete;
  executor& operator=(const executor&) = delete;
  virtual ~executor() = default;

  /// Takes `item` to be run. Never blocks for room, never fails, never runs the item inline.
  virtual void post(work_item& item) noexcept = 0;

  /// The same for an item that gives way: it runs after those that are queued already. An executor whose post() keeps that
  /// order has nothing to do here.
  virtual void post_last(work_item& item) noexcept { post(item); }

  /// How many items run at a time at most.
  [[nodiscard]] virtual unsigned threads() const noexcept { return 1; }

  /// What the inspector calls it.
  [[nodiscard]] virtual const char* name() const noexcept = 0;
};

}  // namespace heddle
