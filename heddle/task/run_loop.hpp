#pragma once

#include <heddle/park/executor.hpp>
#include <heddle/park/queue.hpp>

namespace heddle {

/// An executor that runs on the thread that calls run(): what sync_wait uses. For tests and simple programs, too.
///
/// Thread-safety: post() and finish() from any thread; run() from one. It must outlive its items; every item that was
/// posted before finish() is run.
/// - Items run in the order in which they were posted. [test: run_loop.runs_items_in_order]
class run_loop final : public executor {
 public:
  /// @param name static text for the inspector.
  explicit run_loop(const char* name = "run_loop") noexcept : name_{name} {}
  ~run_loop() override;

  void post(work_item& item) noexcept override;
  [[nodiscard]] const char* name() const noexcept override { return name_; }

  /// Runs items until finish() was called and none is left.
  void run() noexcept;

  /// Makes run() return when nothing is left; the last access to the loop by this call.
  void finish() noexcept;

 private:
  work_item* take() noexcept;

  const char* name_;
  park::queue sleeper_;         // the thread in run(), and its lock guards the rest
  work_item* first_ = nullptr;  // under sleeper_'s lock
  work_item** last_ = &first_;  // under sleeper_'s lock
  bool finished_ = false;       // under sleeper_'s lock
};

}  // namespace heddle
