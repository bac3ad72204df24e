#include <heddle/io/internal/loop_core.hpp>
#include <heddle/io/tcp_stream.hpp>

#include <algorithm>
#include <cerrno>

namespace heddle::io {
namespace {

loop_core* core_of(handle* h) noexcept { return h != nullptr ? &h->core : nullptr; }

bool is_closed(const handle* h) noexcept { return h == nullptr || h->descriptor < 0; }

io_error simple(io_errc kind, const char* operation) noexcept {
  return {.kind = kind, .code = {}, .operation = operation, .transferred = 0};
}

io_error system_error(int code, const char* operation) noexcept {
  return make_io_error(std::error_code{code, std::system_category()}, operation);
}

constexpr const char* stream_name = "tcp stream";

}  // namespace

// --- the stream ---

tcp_stream& tcp_stream::operator=(tcp_stream&& other) noexcept {
  if (this != &other) {
    destroy();
    handle_ = std::exchange(other.handle_, nullptr);
  }
  return *this;
}

void tcp_stream::destroy() noexcept {
  if (handle_ != nullptr) handle_->core.release(*handle_);
  handle_ = nullptr;
}

void tcp_stream::close() noexcept {
  if (handle_ != nullptr) handle_->core.close(*handle_);
}

void tcp_stream::abort() noexcept {
  if (is_closed(handle_)) return;
  sys::reset_on_close(handle_->descriptor);
  close();
}

bool tcp_stream::is_open() const noexcept { return !is_closed(handle_); }

std::expected<void, io_error> tcp_stream::shutdown_write() noexcept {
  if (is_closed(handle_)) return std::unexpected{simple(io_errc::closed, "shutdown_write")};
  if (const int code = sys::shutdown_sending(handle_->descriptor); code != 0) {
    return std::unexpected{code == ENOTCONN ? simple(io_errc::reset, "shutdown_write")
                                            : system_error(code, "shutdown_write")};
  }
  return {};
}

std::string tcp_stream::peer() const {
  return is_closed(handle_) ? std::string{} : sys::address_text(sys::peer_address(handle_->descriptor));
}

std::string tcp_stream::local() const {
  return is_closed(handle_) ? std::string{} : sys::address_text(sys::local_address(handle_->descriptor));
}

// --- connect ---

connect_awaiter tcp_stream::connect(event_loop& loop, std::string_view host, std::uint16_t port, deadline until,
                                    std::stop_token stop, std::source_location site) noexcept {
  return {loop, host, port, until, std::move(stop), site};
}

connect_awaiter::connect_awaiter(event_loop& loop, std::string_view host, std::uint16_t port, deadline until,
                                 std::stop_token stop, std::source_location site) noexcept
    : handle_wait{resource_kind::socket, "tcp connect", &loop.core(),    nullptr,
                  side::write,           until,         std::move(stop), site},
      host_{host},
      port_{port} {}

handle_wait::progress connect_awaiter::attempt() noexcept {
  if (watched() == nullptr) return begin();
  if (is_closed(watched())) return fail(simple(io_errc::closed, "connect"));
  if (const int code = core()->system().connected(*watched()); code != 0) return fail(system_error(code, "connect"));
  return progress::done;
}

handle_wait::progress connect_awaiter::begin() noexcept {
  const auto address = sys::parse_address(host_, port_);
  if (!address) return fail(make_io_error(address.error(), "connect to a name (only IP addresses and localhost work)"));
  const auto socket = core()->system().connect(*address);
  if (!socket) return fail(make_io_error(socket.error(), "connect"));
  std::error_code error;
  handle* made = core()->open(socket->descriptor, stream_name, false, error);
  if (made == nullptr) return fail(make_io_error(error, "connect"));
  made_ = tcp_stream{made};
  watch(made);
  return socket->in_progress ? progress::blocked : progress::done;
}

handle_wait::progress connect_awaiter::fail(io_error error) noexcept {
  error_ = error;
  return progress::done;
}

void connect_awaiter::ended(io_errc why) noexcept { error_ = simple(why, "connect"); }

std::expected<tcp_stream, io_error> connect_awaiter::await_resume() noexcept {
  if (error_) return std::unexpected{*error_};
  return std::move(made_);
}

// --- read ---

read_awaiter tcp_stream::read_some(std::span<std::byte> into, deadline until, std::stop_token stop,
                                   std::source_location site) noexcept {
  return {into.empty() ? nullptr : handle_, into, until, std::move(stop), site};
}

read_awaiter::read_awaiter(handle* h, std::span<std::byte> into, deadline until, std::stop_token stop,
                           std::source_location site) noexcept
    : handle_wait{resource_kind::socket, stream_name, core_of(h), h, side::read, until, std::move(stop), site},
      into_{into} {}

handle_wait::progress read_awaiter::attempt() noexcept {
  if (into_.empty()) {
    result_ = std::unexpected{system_error(EINVAL, "read into an empty buffer")};
    return progress::done;
  }
  if (is_closed(watched())) {
    ended(io_errc::closed);
    return progress::done;
  }
  std::atomic<bool>& ready = watched_side().ready;
  ready.store(false, std::memory_order_seq_cst);
  const std::ptrdiff_t got = core()->system().receive(*watched(), into_);
  if (got == -EAGAIN) return progress::blocked;
  // A short read has emptied the socket, unless the end of the stream is already known to follow.
  if (got <= 0 || static_cast<std::size_t>(got) == into_.size() || watched()->hung_up.load(std::memory_order_seq_cst)) {
    ready.store(true, std::memory_order_seq_cst);
  }
  if (got >= 0) {
    result_ = static_cast<std::size_t>(got);
  } else {
    result_ = std::unexpected{system_error(static_cast<int>(-got), "read")};
  }
  return progress::done;
}

void read_awaiter::ended(io_errc why) noexcept { result_ = std::unexpected{simple(why, "read")}; }

// --- write ---

write_awaiter tcp_stream::write_all(std::span<const std::byte> bytes, deadline until, std::stop_token stop,
                                    std::source_location site) noexcept {
  return {handle_, bytes, {}, until, std::move(stop), site};
}

write_awaiter tcp_stream::write_all(std::span<const std::span<const std::byte>> pieces, deadline until,
                                    std::stop_token stop, std::source_location site) noexcept {
  return {handle_, {}, pieces, until, std::move(stop), site};
}

write_awaiter::write_awaiter(handle* h, std::span<const std::byte> single,
                             std::span<const std::span<const std::byte>> pieces, deadline until, std::stop_token stop,
                             std::source_location site) noexcept
    : handle_wait{resource_kind::socket, stream_name, core_of(h), h, side::write, until, std::move(stop), site},
      single_{single},
      pieces_{pieces} {}

std::span<const std::span<const std::byte>> write_awaiter::pieces() const noexcept {
  return pieces_.empty() ? std::span<const std::span<const std::byte>>{&single_, 1} : pieces_;
}

handle_wait::progress write_awaiter::attempt() noexcept {
  std::atomic<bool>* ready = nullptr;
  for (;;) {
    if (is_closed(watched())) {
      ended(io_errc::closed);
      return progress::done;
    }
    constexpr std::size_t pieces_per_call = 16;
    iovec batch[pieces_per_call];
    std::size_t count = 0;
    std::size_t bytes = 0;
    std::size_t offset = offset_;
    for (std::size_t i = piece_; i < pieces().size() && count < pieces_per_call; ++i) {
      const std::span<const std::byte> rest = pieces()[i].subspan(offset);
      offset = 0;
      if (rest.empty()) continue;
      batch[count++] = {const_cast<std::byte*>(rest.data()), rest.size()};
      bytes += rest.size();
    }
    if (count == 0) return progress::done;
    ready = &watched_side().ready;
    ready->store(false, std::memory_order_seq_cst);
    const std::ptrdiff_t sent = core()->system().send(*watched(), {batch, count});
    if (sent == -EAGAIN) return progress::blocked;
    if (sent < 0) {
      ready->store(true, std::memory_order_seq_cst);
      io_error error = system_error(static_cast<int>(-sent), "write");
      error.transferred = transferred_;
      result_ = std::unexpected{error};
      return progress::done;
    }
    advance(static_cast<std::size_t>(sent));
    if (static_cast<std::size_t>(sent) < bytes) return progress::blocked;  // the socket is full
    ready->store(true, std::memory_order_seq_cst);
  }
}

void write_awaiter::advance(std::size_t bytes) noexcept {
  transferred_ += bytes;
  while (bytes != 0) {
    const std::size_t step = std::min(bytes, pieces()[piece_].size() - offset_);
    bytes -= step;
    offset_ += step;
    if (offset_ == pieces()[piece_].size()) {
      ++piece_;
      offset_ = 0;
    }
  }
}

void write_awaiter::ended(io_errc why) noexcept {
  io_error error = simple(why, "write");
  error.transferred = transferred_;
  result_ = std::unexpected{error};
}

}  // namespace heddle::io
