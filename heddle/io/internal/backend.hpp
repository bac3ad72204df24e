#pragma once

#include <heddle/io/internal/handle.hpp>
#include <heddle/sys/socket.hpp>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <system_error>

namespace heddle::io {

/// All that an event loop asks of the system. An operation is an attempt that never waits; readiness is reported later,
/// by wait(), into the handle's sides.
///
/// Thread-safety: wait() on the loop's thread only; everything else from any thread.
class backend {
 public:
  backend() = default;
  backend(const backend&) = delete;
  backend& operator=(const backend&) = delete;
  virtual ~backend() = default;

  /// Nanoseconds on the clock that the loop's deadlines mean.
  [[nodiscard]] virtual std::int64_t now_ns() noexcept = 0;

  /// Reports what has become ready, after waiting for at most `timeout_ns` (0: not at all; negative: for ever).
  virtual void wait(std::int64_t timeout_ns) noexcept = 0;

  /// Ends a wait(), now or the next one. Each call is counted.
  virtual void wake() noexcept = 0;

  /// How many calls of wake() wait() has seen. On the loop's thread.
  [[nodiscard]] virtual std::uint64_t wakes_seen() const noexcept = 0;

  /// Begins to report `h`, whose descriptor is open. @return an errno value.
  [[nodiscard]] virtual int watch(handle& h) noexcept = 0;

  /// Ends the reports and closes the descriptor.
  virtual void close(handle& h) noexcept = 0;

  // Attempts; a negative result is a negated errno value, -EAGAIN where it would have to wait.

  [[nodiscard]] virtual std::expected<int, std::error_code> listen(const sys::socket_address& at, int backlog,
                                                                   bool reuse_port) noexcept = 0;
  [[nodiscard]] virtual std::expected<sys::connecting, std::error_code> connect(
      const sys::socket_address& to) noexcept = 0;
  /// How a connection in progress has ended: an errno value.
  [[nodiscard]] virtual int connected(handle& h) noexcept = 0;
  [[nodiscard]] virtual int accept(handle& listener) noexcept = 0;
  [[nodiscard]] virtual std::ptrdiff_t receive(handle& h, std::span<std::byte> into) noexcept = 0;
  [[nodiscard]] virtual std::ptrdiff_t send(handle& h, std::span<const iovec> pieces) noexcept = 0;
};

/// The backend on epoll.
/// @throws std::system_error when the system has no descriptor left.
[[nodiscard]] std::unique_ptr<backend> make_epoll_backend();

}  // namespace heddle::io
