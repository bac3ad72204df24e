#pragma once

#include <heddle/io/event_loop.hpp>
#include <heddle/io/handle_wait.hpp>
#include <heddle/io/io_error.hpp>

#include <cstdint>
#include <expected>
#include <initializer_list>
#include <source_location>
#include <stop_token>

namespace heddle::io {

class signal_awaiter;

/// Receives signals as values: `io::signal_set signals{loop, {SIGINT, SIGTERM}}; … co_await signals.next()`.
///
/// Make it before the program starts threads: it blocks its signals in the calling thread, threads inherit that, and a
/// thread in which they are not blocked would be killed by them. The destructor takes what is pending and unblocks in
/// its own thread what was not blocked before, so that the next Ctrl-C acts as ever.
///
/// - A signal wakes the task that awaits it. [test: signal_set.a_signal_wakes_the_task]
/// - Signals that come while nobody waits are kept; equal ones count once. [test: signal_set.keeps_what_came_early]
/// - A waiting task shows in the snapshot as waiting for a signal. [test: signal_set.a_waiting_task_shows_in_the_snapshot]
///
/// Thread-safety: one task waits at a time; destroying it under a waiting task ends the program.
class signal_set {
 public:
  /// @throws std::system_error when the system refuses.
  signal_set(event_loop& loop, std::initializer_list<int> signals);
  ~signal_set();
  signal_set(const signal_set&) = delete;
  signal_set& operator=(const signal_set&) = delete;

  /// Awaits std::expected<int, io_error>: the number of the next signal.
  [[nodiscard]] signal_awaiter next(deadline until = {}, std::stop_token stop = {},
                                    std::source_location site = std::source_location::current()) noexcept;

 private:
  handle* handle_;
  std::uint64_t unblock_;  // bit n-1: signal n was not blocked before
};

/// What signal_set::next() returns.
class [[nodiscard]] signal_awaiter final : public handle_wait {
 public:
  std::expected<int, io_error> await_resume() noexcept { return std::move(result_); }

 private:
  friend class signal_set;
  signal_awaiter(handle* h, deadline until, std::stop_token stop, std::source_location site) noexcept;
  [[nodiscard]] progress attempt() noexcept override;
  void ended(io_errc why) noexcept override;

  std::expected<int, io_error> result_{0};
};

}  // namespace heddle::io
