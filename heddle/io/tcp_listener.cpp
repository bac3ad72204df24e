#include <heddle/io/internal/loop_core.hpp>
#include <heddle/io/tcp_listener.hpp>

#include <cerrno>

namespace heddle::io {

std::expected<tcp_listener, io_error> tcp_listener::bind(event_loop& loop, std::string_view host, std::uint16_t port,
                                                         options how) noexcept {
  const auto address = sys::parse_address(host, port);
  if (!address) {
    return std::unexpected{make_io_error(address.error(), "listen at a name (only IP addresses and localhost work)")};
  }
  const auto socket = loop.core().system().listen(*address, how.backlog, how.reuse_port);
  if (!socket) return std::unexpected{make_io_error(socket.error(), "listen")};
  std::error_code error;
  tcp_listener made;
  made.handle_ = loop.core().open(*socket, "tcp listener", true, error);
  if (made.handle_ == nullptr) return std::unexpected{make_io_error(error, "listen")};
  made.port_ = sys::address_port(sys::local_address(*socket));
  return made;
}

tcp_listener& tcp_listener::operator=(tcp_listener&& other) noexcept {
  if (this != &other) {
    destroy();
    handle_ = std::exchange(other.handle_, nullptr);
    port_ = other.port_;
  }
  return *this;
}

void tcp_listener::destroy() noexcept {
  if (handle_ != nullptr) handle_->core.release(*handle_);
  handle_ = nullptr;
}

void tcp_listener::close() noexcept {
  if (handle_ != nullptr) handle_->core.close(*handle_);
}

bool tcp_listener::is_open() const noexcept { return handle_ != nullptr && handle_->descriptor >= 0; }

accept_awaiter tcp_listener::accept(deadline until, std::stop_token stop, std::source_location site) noexcept {
  return {handle_, until, std::move(stop), site};
}

accept_awaiter::accept_awaiter(handle* h, deadline until, std::stop_token stop, std::source_location site) noexcept
    : handle_wait{resource_kind::socket,
                  "tcp listener",
                  h != nullptr ? &h->core : nullptr,
                  h,
                  side::read,
                  until,
                  std::move(stop),
                  site} {}

handle_wait::progress accept_awaiter::attempt() noexcept {
  for (;;) {
    if (watched() == nullptr || watched()->descriptor < 0) {
      ended(io_errc::closed);
      return progress::done;
    }
    std::atomic<bool>& ready = watched_side().ready;
    ready.store(false, std::memory_order_seq_cst);
    const int got = core()->system().accept(*watched());
    if (got == -EAGAIN) return progress::blocked;
    ready.store(true, std::memory_order_seq_cst);  // there may be more
    std::error_code error;
    if (got >= 0) {
      handle* made = core()->open(got, "tcp stream", true, error);
      if (made != nullptr) {
        made_ = tcp_stream{made};
      } else {
        error_ = make_io_error(error, "accept");
      }
      return progress::done;
    }
    switch (-got) {
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM: return progress::paused;
      // What was wrong with the connection itself, or with its network, comes out here; the next may be well.
      case ECONNABORTED:
      case EPROTO:
      case ENETDOWN:
      case ENETUNREACH:
      case EHOSTDOWN:
      case EHOSTUNREACH:
      case ENOPROTOOPT:
      case ENONET:
      case EPERM: continue;
      default: error_ = make_io_error(std::error_code{-got, std::system_category()}, "accept"); return progress::done;
    }
  }
}

void accept_awaiter::ended(io_errc why) noexcept {
  error_ = io_error{.kind = why, .code = {}, .operation = "accept", .transferred = 0};
}

std::expected<tcp_stream, io_error> accept_awaiter::await_resume() noexcept {
  if (error_) return std::unexpected{*error_};
  return std::move(made_);
}

}  // namespace heddle::io
