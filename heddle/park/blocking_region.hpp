#pragma once

namespace heddle {

/// Is told when a thread that works for it stops working: how a thread_pool learns that a worker is blocked.
class blocking_observer {
 public:
  blocking_observer() = default;
  blocking_observer(const blocking_observer&) = delete;
  blocking_observer& operator=(const blocking_observer&) = delete;

  /// The calling thread may block from now on. Must not wait.
  virtual void before_blocking() noexcept = 0;

  /// It goes on. Must not wait.
  virtual void after_blocking() noexcept = 0;

  /// Makes this the observer of the calling thread, null takes it back.
  static void watch_this_thread(blocking_observer* observer) noexcept;

 protected:
  ~blocking_observer() = default;
};

namespace park {
/// Whether the calling thread is inside a blocking_region, and somebody works in its place.
[[nodiscard]] bool thread_is_replaced() noexcept;
}  // namespace park

/// Says for a scope that the calling thread may be blocked, so that the pool whose worker it is lets another thread
/// work in its place. Put it around a foreign call that may take long; heddle's own blocking waits for futures,
/// channels and run loops do it themselves. On a thread of no pool it does nothing.
///
/// - Queued work is run although every worker of the pool is blocked.
///   [test: thread_pool.a_blocked_worker_is_replaced]
/// - Regions nest: only the outermost counts. [test: blocking_region.only_the_outermost_is_told]
///
/// Must not live across a co_await. Thread-safety: belongs to one thread. Cost: some ten nanoseconds, and up to three
/// microseconds when nobody else of the pool is idle; a thread is started or woken only when work is queued.
class [[nodiscard]] blocking_region {
 public:
  blocking_region() noexcept;
  ~blocking_region();
  blocking_region(const blocking_region&) = delete;
  blocking_region& operator=(const blocking_region&) = delete;
};

}  // namespace heddle
