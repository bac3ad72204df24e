#pragma once

#include <heddle/io/io_error.hpp>
#include <heddle/io/timer_entry.hpp>
#include <heddle/park/wait.hpp>

#include <chrono>
#include <cstdint>

namespace heddle::io {

struct handle;
struct handle_side;
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
    blocked,  ///< the system would have to wait; the side's `ready` is low
    paused,   ///< try again after a pause, although nothing will tell that it is ready
  };

  /// @param name static text for the inspector.
  /// @param core,watched null for what was never opened; then attempt() must be done at once.
  handle_wait(resource_kind kind, const char* name, loop_core* core, handle* watched, side which, deadline until,
              std::stop_token stop, std::source_location site) noexcept;
  ~handle_wait() = default;

  [[nodiscard]] virtual progress attempt() noexcept = 0;

  /// The wait has ended without a result: timeout, stopped or closed.
  virtual void ended(io_errc why) noexcept = 0;

  [[nodiscard]] handle* watched() const noexcept { return handle_; }
  void watch(handle* h) noexcept { handle_ = h; }
  [[nodiscard]] loop_core* core() const noexcept { return core_; }
  [[nodiscard]] handle_side& watched_side() const noexcept;

 private:
  struct timer final : timer_entry {
    handle_wait* owner = nullptr;
  };
  static constexpr std::chrono::milliseconds pause{100};  // between attempts that found no descriptor

  [[nodiscard]] bool ready() noexcept final;
  [[nodiscard]] bool enqueue() noexcept final;
  [[nodiscard]] step claimed(park::phase result) noexcept final;
  void refused(park::phase result) noexcept final;
  [[nodiscard]] progress try_once() noexcept;
  [[nodiscard]] bool stand(bool even_if_ready) noexcept;
  [[nodiscard]] bool try_or_stand(bool after_a_claim) noexcept;
  void set_timer() noexcept;

  loop_core* core_;
  handle* handle_;
  timer timer_;
  deadline retry_;
  side side_;
  bool on_loop_ = false;    // the task runs on the loop itself, whose wheel then keeps the time
  bool gives_way_ = false;  // it has used up its turn and waits only to let others run
};

}  // namespace heddle::io
