#pragma once

#include <heddle/io/tcp_stream.hpp>

namespace heddle::io {

class accept_awaiter;

/// Listens on a TCP address and accepts connections. Closed when it is destroyed.
///
/// - Port 0 lets the system choose a free port; port() tells which. [test: tcp.port_zero_is_a_free_port]
/// - A port that somebody else listens on gives address_in_use. [test: tcp.a_taken_port_is_told]
/// - When the process has no descriptor left, accept() does not spin and does not fail: it tries again until one is
///   free, ten times a second. [test: tcp.accepting_goes_on_after_descriptors_ran_out]
/// - A connection that breaks off before it is accepted does no harm: it is passed over, or accepted and reads as reset.
///   [test: tcp.a_connection_that_broke_off_early_does_no_harm]
/// - Destroying it while a task waits in accept() ends the program.
///   [test: tcp_misuse.destroying_a_listener_under_an_acceptor_is_fatal]
///
/// Thread-safety: as tcp_stream; one task accepts at a time.
class tcp_listener {
 public:
  struct options {
    int backlog = 1024;       ///< connections that may wait to be accepted; the system may allow fewer
    bool reuse_port = false;  ///< SO_REUSEPORT: several listeners share the port, and the system spreads connections
  };

  /// A closed listener; for assignment.
  tcp_listener() noexcept = default;
  tcp_listener(tcp_listener&& other) noexcept : handle_{std::exchange(other.handle_, nullptr)}, port_{other.port_} {}
  tcp_listener& operator=(tcp_listener&& other) noexcept;
  ~tcp_listener() { destroy(); }

  /// Listens at an IPv4 or IPv6 address or "localhost" (127.0.0.1), with SO_REUSEADDR. Never waits.
  [[nodiscard]] static std::expected<tcp_listener, io_error> bind(event_loop& loop, std::string_view host,
                                                                  std::uint16_t port, options how) noexcept;
  [[nodiscard]] static std::expected<tcp_listener, io_error> bind(event_loop& loop, std::string_view host,
                                                                  std::uint16_t port) noexcept {
    return bind(loop, host, port, options{});
  }

  /// Awaits std::expected<tcp_stream, io_error>: the next connection, with TCP_NODELAY on.
  /// - A deadline and a stop end it, and a connection that comes later is still there for the next accept().
  ///   [test: tcp.an_accept_that_timed_out_loses_no_connection]
  [[nodiscard]] accept_awaiter accept(deadline until = {}, std::stop_token stop = {},
                                      std::source_location site = std::source_location::current()) noexcept;

  /// Stops listening at once; a task that waits in accept() goes on with io_errc::closed.
  /// - A waiting accept is told that the listener was closed. [test: tcp.closing_a_listener_wakes_the_acceptor]
  void close() noexcept;

  [[nodiscard]] bool is_open() const noexcept;
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

 private:
  void destroy() noexcept;

  handle* handle_ = nullptr;
  std::uint16_t port_ = 0;
};

/// What tcp_listener::accept() returns.
class [[nodiscard]] accept_awaiter final : public handle_wait {
 public:
  std::expected<tcp_stream, io_error> await_resume() noexcept;

 private:
  friend class tcp_listener;
  accept_awaiter(handle* h, deadline until, std::stop_token stop, std::source_location site) noexcept;
  [[nodiscard]] progress attempt() noexcept override;
  void ended(io_errc why) noexcept override;

  tcp_stream made_;
  std::optional<io_error> error_;
};

}  // namespace heddle::io
