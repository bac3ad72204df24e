#pragma once

#include <heddle/park/snapshot.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::watch {

/// What watch can find.
enum class problem : std::uint8_t {
  deadlock,            ///< agents that wait for each other in a circle
  lock_order,          ///< locks taken in contradicting orders: a deadlock that has not happened yet
  starvation,          ///< a waiter that is passed over again and again
  priority_inversion,  ///< a waiter that ranks above whoever it waits for
  livelock,            ///< attempts without progress
  stall,               ///< one item that keeps its worker or loop busy for too long
};
inline constexpr std::size_t problems = 6;

/// "deadlock", "lock order", … as the log shows it.
[[nodiscard]] std::string_view to_string(problem what) noexcept;

/// Whether the report is proved by what was seen, or follows only if nobody else can help.
enum class confidence : std::uint8_t { certain, possible };

/// Why an agent waits for another one.
enum class relation : std::uint8_t {
  holds,     ///< the other holds the lock
  reads,     ///< the other reads, and this one wants to write
  is_ahead,  ///< the other stands before this one in the queue, and cannot go with it
  ends,      ///< the other must come to its end
  occupies,  ///< the other blocks a thread that this one needs to run
};

/// One wait in a report, and who it is for.
struct edge {
  park::wait_info wait;  ///< who waits, for what, since when, until when, from where
  relation why = relation::holds;
  std::uint32_t other = 0;              ///< the agent that is waited for
  std::string other_name;               ///< "thread 4 'main'"
  std::string taken_at;                 ///< where the other took the lock; empty if it took none
  std::chrono::nanoseconds held_for{};  ///< for how long at least, counted from the first one who had to wait for it
  std::vector<std::string> stack;       ///< of the waiter, innermost first; empty if it is not known
};

/// A problem that was found, and why.
struct report {
  problem what = problem::deadlock;
  confidence how_sure = confidence::certain;
  std::string sentence;                 ///< the whole of it in one sentence
  std::vector<edge> edges;              ///< each waits for the next one; the last for the first
  std::vector<park::wait_info> behind;  ///< who else cannot go on because of it
  std::vector<std::string> details;     ///< further lines, as for an order: where each part of it was first seen
  std::string advice;                   ///< the place to change, and how
  std::chrono::steady_clock::time_point at;
  std::optional<std::chrono::steady_clock::time_point> until;  ///< a deadline will end it by itself then

  /// The text for people: the sentence, then everything else, one line each.
  /// - It says who waits for what, held by whom, since when, from where. [test: report.the_text_says_everything]
  [[nodiscard]] std::string text() const;
};

/// Keeps a handler in place while it lives.
class [[nodiscard]] subscription {
 public:
  struct entry;
  subscription() noexcept;
  explicit subscription(std::shared_ptr<entry> of) noexcept;
  subscription(subscription&&) noexcept;
  subscription& operator=(subscription&&) noexcept;
  /// The handler does not run any more once this has returned (unless called from the handler itself).
  ~subscription();

 private:
  std::shared_ptr<entry> entry_;
};

/// Calls `handler` for each report from now on, one at a time, on the thread that found it: watch's own, or for a lock
/// order or a livelock the one that made it, which then holds its locks. So it must neither wait nor throw.
/// - Each report reaches each handler once. [test: report.reaches_each_handler_once]
/// - A handler that is taken back is not called any more. [test: report.a_handler_that_is_gone_is_not_called]
[[nodiscard]] subscription on_report(std::function<void(const report&)> handler);

/// How many reports of each kind there have been, indexed by problem: for metrics.
[[nodiscard]] std::array<std::uint64_t, problems> report_counts() noexcept;

/// The last reports, at most 32, the oldest first.
/// - Recent ones can be asked for. [test: report.recent_ones_are_kept]
[[nodiscard]] std::vector<report> recent_reports();

/// Hands a report to the log, the handlers and the counts; for those who look for problems of their own.
void deliver(report found);

}  // namespace heddle::watch
