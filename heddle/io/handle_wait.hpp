#pragma once

#include <heddle/io/io_error.hpp>
#include <heddle/io/timer_entry.hpp>
#include <heddle/park/wait.hpp>

#include <cstdint>

namespace heddle::io {

struct handle;
class loop_core;

/// How a task waits for a descriptor: the base of every awaiter of io.
///
/// First attempt() is made; only if it would block the task waits until the descriptor's side becomes ready, and tries
/// again. A derived class gives the attempt and keeps its result. Only for the awaiters of io.
class handle_wait : public park::task_wait {
 protected:
  enum class side : std::uint8_t { read, write };

  /// What became of an attempt.
  enum class progress : std::uint8_t {
    done,     ///< there is a result, good or bad
    blocked,  ///< the system would have to wait
    paused,   ///< try again after a while, although nothing will tell that it is ready
  };

  handle_wait(loop_core* core, handle* watched, side which, const char* name, deadline until, std::stop_token stop,
              std::source_location site) noexcept;
  ~handle_wait() = default;

  [[nodiscard]] virtual progress attempt() noexcept = 0;

  /// The wait has ended without a result: timeout, stopped or closed.
  virtual void ended(io_errc why) noexcept = 0;

  [[nodiscard]] handle* watched() const noexcept { return handle_; }
  void watch(handle* h) noexcept { handle_ = h; }
  [[nodiscard]] loop_core* core() const noexcept { return core_; }

 private:
  struct timer final : timer_entry {
    handle_wait* owner = nullptr;
  };

  [[nodiscard]] bool ready() noexcept final;
  [[nodiscard]] bool enqueue() noexcept final;
  [[nodiscard]] step claimed(park::phase result) noexcept final;
  void refused(park::phase result) noexcept final;
  [[nodiscard]] bool try_or_stand() noexcept;
  void set_timer() noexcept;

  loop_core* core_;  // null for a stream that was never open
  handle* handle_;
  timer timer_;
  deadline retry_;
  side side_;
  bool on_loop_ = false;
};

}  // namespace heddle::io
