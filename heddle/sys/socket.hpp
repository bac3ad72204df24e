#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace heddle::sys {

/// An IPv4 or IPv6 address with its port.
struct socket_address {
  sockaddr_storage storage;
  socklen_t length;
};

/// Reads an IPv4 or IPv6 address ("127.0.0.1", "::1", "[::1]"), or "localhost", which is 127.0.0.1. Looks no name up.
/// @return std::errc::invalid_argument for anything else.
[[nodiscard]] std::expected<socket_address, std::error_code> parse_address(std::string_view host,
                                                                           std::uint16_t port) noexcept;

/// "127.0.0.1:80" or "[::1]:80"; empty for other families.
[[nodiscard]] std::string address_text(const socket_address& address);
[[nodiscard]] std::uint16_t address_port(const socket_address& address) noexcept;

/// The addresses of a socket; of length 0 where there is none.
[[nodiscard]] socket_address local_address(int descriptor) noexcept;
[[nodiscard]] socket_address peer_address(int descriptor) noexcept;

// All sockets made here are TCP, do not block and are closed on exec.

/// A socket that listens at `address`, with SO_REUSEADDR, and SO_REUSEPORT if asked for.
[[nodiscard]] std::expected<int, std::error_code> open_listener(const socket_address& address, int backlog,
                                                                bool reuse_port) noexcept;

/// What begin_connect() made. `in_progress`: the socket becomes writable when it is connected or has failed; then
/// socket_error() tells which.
struct connecting {
  int descriptor;
  bool in_progress;
};
[[nodiscard]] std::expected<connecting, std::error_code> begin_connect(const socket_address& address) noexcept;

/// The socket's pending error as an errno value, 0 when there is none; reading it clears it.
[[nodiscard]] int socket_error(int descriptor) noexcept;

/// The next connection, with TCP_NODELAY: its descriptor, or a negated errno value (-EAGAIN when there is none).
[[nodiscard]] int accept_connection(int listener) noexcept;

/// The number of bytes moved (for receive, 0 is the end of the stream), or a negated errno value. Never SIGPIPE.
[[nodiscard]] std::ptrdiff_t receive(int descriptor, std::span<std::byte> into) noexcept;
[[nodiscard]] std::ptrdiff_t send(int descriptor, std::span<const iovec> pieces) noexcept;

/// Ends the sending half. @return an errno value.
[[nodiscard]] int shutdown_sending(int descriptor) noexcept;

/// Makes the close of this socket drop what is unsent and reset the connection.
void reset_on_close(int descriptor) noexcept;

}  // namespace heddle::sys
