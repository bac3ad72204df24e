#include <heddle/sys/socket.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace heddle::sys {
namespace {

std::unexpected<std::error_code> error_of(int code) noexcept {
  return std::unexpected{std::error_code{code, std::system_category()}};
}

void switch_on(int descriptor, int level, int option) noexcept {
  const int on = 1;
  setsockopt(descriptor, level, option, &on, sizeof on);
}

int open_stream(int family) noexcept { return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

template <class Address>
socket_address pack(const Address& address) noexcept {
  socket_address packed{};
  std::memcpy(&packed.storage, &address, sizeof address);
  packed.length = sizeof address;
  return packed;
}

template <class Address>
Address unpack(const socket_address& packed) noexcept {
  Address address{};
  std::memcpy(&address, &packed.storage, sizeof address);
  return address;
}

const sockaddr* raw(const socket_address& address) noexcept {
  return reinterpret_cast<const sockaddr*>(&address.storage);
}

}  // namespace

std::expected<socket_address, std::error_code> parse_address(std::string_view host, std::uint16_t port) noexcept {
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  char text[INET6_ADDRSTRLEN] = {};
  if (host.size() >= sizeof text || host.contains('\0')) return error_of(EINVAL);
  std::memcpy(text, host.data(), host.size());
  sockaddr_in v4{};
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return pack(v4);
  }
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    return pack(v6);
  }
  return error_of(EINVAL);
}

std::string address_text(const socket_address& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.length == 0) return {};
  if (address.storage.ss_family == AF_INET) {
    const auto v4 = unpack<sockaddr_in>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return std::string{text} + ':' + std::to_string(ntohs(v4.sin_port));
  }
  if (address.storage.ss_family == AF_INET6) {
    const auto v6 = unpack<sockaddr_in6>(address);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return '[' + std::string{text} + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  return {};
}

std::uint16_t address_port(const socket_address& address) noexcept {
  if (address.storage.ss_family == AF_INET) return ntohs(unpack<sockaddr_in>(address).sin_port);
  if (address.storage.ss_family == AF_INET6) return ntohs(unpack<sockaddr_in6>(address).sin6_port);
  return 0;
}

socket_address local_address(int descriptor) noexcept {
  socket_address found{};
  found.length = sizeof found.storage;
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&found.storage), &found.length) != 0) found.length = 0;
  return found;
}

socket_address peer_address(int descriptor) noexcept {
  socket_address found{};
  found.length = sizeof found.storage;
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&found.storage), &found.length) != 0) found.length = 0;
  return found;
}

std::expected<int, std::error_code> open_listener(const socket_address& address, int backlog,
                                                  bool reuse_port) noexcept {
  const int made = open_stream(address.storage.ss_family);
  if (made < 0) return error_of(errno);
  switch_on(made, SOL_SOCKET, SO_REUSEADDR);
  if (reuse_port) switch_on(made, SOL_SOCKET, SO_REUSEPORT);
  if (::bind(made, raw(address), address.length) != 0 || ::listen(made, backlog) != 0) {
    const int why = errno;
    ::close(made);
    return error_of(why);
  }
  return made;
}

std::expected<connecting, std::error_code> begin_connect(const socket_address& address) noexcept {
  const int made = open_stream(address.storage.ss_family);
  if (made < 0) return error_of(errno);
  switch_on(made, IPPROTO_TCP, TCP_NODELAY);
  if (::connect(made, raw(address), address.length) == 0) return connecting{made, false};
  if (errno == EINPROGRESS || errno == EINTR) return connecting{made, true};
  const int why = errno;
  ::close(made);
  return error_of(why);
}

int socket_error(int descriptor) noexcept {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

int accept_connection(int listener) noexcept {
  const int made = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (made < 0) return -errno;
  switch_on(made, IPPROTO_TCP, TCP_NODELAY);
  return made;
}

std::ptrdiff_t receive(int descriptor, std::span<std::byte> into) noexcept {
  for (;;) {
    const ssize_t moved = recv(descriptor, into.data(), into.size(), 0);
    if (moved >= 0) return moved;
    if (errno != EINTR) return -errno;
  }
}

std::ptrdiff_t send(int descriptor, std::span<const iovec> pieces) noexcept {
  for (;;) {
    ssize_t moved = 0;
    if (pieces.size() == 1) {
      moved = ::send(descriptor, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
    } else {
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(pieces.data());
      message.msg_iovlen = pieces.size();
      moved = sendmsg(descriptor, &message, MSG_NOSIGNAL);
    }
    if (moved >= 0) return moved;
    if (errno != EINTR) return -errno;
  }
}

int shutdown_sending(int descriptor) noexcept { return ::shutdown(descriptor, SHUT_WR) == 0 ? 0 : errno; }

void reset_on_close(int descriptor) noexcept {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace heddle::sys
