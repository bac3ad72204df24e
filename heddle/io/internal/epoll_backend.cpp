// The backend on epoll, edge-triggered: each descriptor is added once, for both directions, and never re-armed.

#include <heddle/io/internal/backend.hpp>
#include <heddle/io/internal/loop_core.hpp>
#include <heddle/sys/epoll.hpp>
#include <heddle/sys/futex.hpp>

namespace heddle::io {
namespace {

int opened(std::expected<int, std::error_code> made, const char* what) {
  if (!made) throw std::system_error{made.error(), what};
  return *made;
}

class epoll_backend final : public backend {
 public:
  epoll_backend() : epoll_{opened(sys::open_epoll(), "an event loop needs an epoll instance")} {
    const auto counter = sys::open_event_counter();
    const int error = counter ? sys::epoll_add(epoll_, *counter, nullptr) : counter.error().value();
    if (error != 0) {
      if (counter) sys::close_descriptor(*counter);
      sys::close_descriptor(epoll_);
      throw std::system_error{std::error_code{error, std::system_category()}, "an event loop needs an event counter"};
    }
    counter_ = *counter;
  }

  ~epoll_backend() override {
    sys::close_descriptor(counter_);
    sys::close_descriptor(epoll_);
  }

  std::int64_t now_ns() noexcept override { return sys::steady_now_ns(); }

  void wait(std::int64_t timeout_ns) noexcept override {
    const std::size_t count = sys::epoll_wait_ns(epoll_, events_, timeout_ns);
    for (std::size_t i = 0; i < count; ++i) {
      const epoll_event& event = events_[i];
      if (event.data.ptr == nullptr) {
        wakes_seen_ += sys::take_event_counter(counter_);
        continue;
      }
      auto& h = *static_cast<handle*>(event.data.ptr);
      constexpr std::uint32_t ended = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
      if ((event.events & ended) != 0) h.hung_up.store(true, std::memory_order_seq_cst);
      if ((event.events & (EPOLLIN | ended)) != 0) became_ready(h.read);
      if ((event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) became_ready(h.write);
    }
  }

  void wake() noexcept override { sys::bump_event_counter(counter_); }
  std::uint64_t wakes_seen() const noexcept override { return wakes_seen_; }

  int watch(handle& h) noexcept override { return sys::epoll_add(epoll_, h.descriptor, &h); }

  void close(handle& h) noexcept override {
    sys::epoll_remove(epoll_, h.descriptor);  // a child process may still have it open
    sys::close_descriptor(h.descriptor);
  }

  std::expected<int, std::error_code> listen(const sys::socket_address& at, int backlog,
                                             bool reuse_port) noexcept override {
    return sys::open_listener(at, backlog, reuse_port);
  }
  std::expected<sys::connecting, std::error_code> connect(const sys::socket_address& to) noexcept override {
    return sys::begin_connect(to);
  }
  int connected(handle& h) noexcept override { return sys::socket_error(h.descriptor); }
  int accept(handle& listener) noexcept override { return sys::accept_connection(listener.descriptor); }
  std::ptrdiff_t receive(handle& h, std::span<std::byte> into) noexcept override {
    return sys::receive(h.descriptor, into);
  }
  std::ptrdiff_t send(handle& h, std::span<const iovec> pieces) noexcept override {
    return sys::send(h.descriptor, pieces);
  }

 private:
  static constexpr std::size_t events_per_wait = 256;

  int epoll_;
  int counter_ = -1;
  std::uint64_t wakes_seen_ = 0;
  epoll_event events_[events_per_wait];
};

}  // namespace

std::unique_ptr<backend> make_epoll_backend() { return std::make_unique<epoll_backend>(); }

}  // namespace heddle::io
