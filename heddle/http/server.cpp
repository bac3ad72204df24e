#include <heddle/http/server.hpp>

#include <heddle/base/fatal.hpp>
#include <heddle/http/internal/connection.hpp>
#include <heddle/http/internal/service.hpp>
#include <heddle/io/tcp_listener.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/this_task.hpp>

#include <fmt/format.h>

#include <atomic>
#include <exception>
#include <utility>

namespace heddle::http {

struct server::state {
  state(io::event_loop& runs_on, router routes, server_options options)
      : loop(runs_on), shared(std::move(routes), std::move(options)) {}

  task<void> serve(io::tcp_stream stream, semaphore_permit place);
  task<void> accept_all(scope& connections);
  task<void> wait_for_the_last(scope& connections);

  io::event_loop& loop;
  internal::service shared;
  io::tcp_listener listener;
  std::stop_source drain_begins;
  std::atomic<std::int64_t> drain_until_ns{0};  // written once, before drain_begins fires
  bool running = false;
};

// A connection's failure is its own: it must not stop the others, as a child's exception would.
task<void> server::state::serve(io::tcp_stream stream, semaphore_permit place) {
  const semaphore_permit held = std::move(place);
  const internal::counted here(shared.counters.connections);
  try {
    internal::connection one(shared, std::move(stream));
    co_await one.serve();
  } catch (const std::exception& error) {
    shared.log(fmt::format("http: a connection was given up: {}", error.what()));
  }
}

task<void> server::state::accept_all(scope& connections) {
  const std::stop_token drain = drain_begins.get_token();
  while (!drain.stop_requested()) {
    auto place = co_await shared.connections.async_acquire_until(deadline::never(), drain);
    if (!place) break;
    auto accepted = co_await listener.accept(deadline::never(), drain);
    if (accepted) {
      ++shared.counters.accepted;
      connections.spawn(serve(*std::move(accepted), *std::move(place)), "http connection");
    } else if (accepted.error().kind != io::io_errc::stopped) {
      shared.log(fmt::format("http: {}", accepted.error().text()));
      place->give_back();
      // Nothing that the server could mend by trying at once.
      co_await loop.sleep_for(std::chrono::milliseconds(100));
    }
  }
}

task<void> server::state::wait_for_the_last(scope& connections) {
  listener.close();
  shared.draining = true;
  const deadline until = deadline::at_ns(drain_until_ns.load());
  const deadline grace = std::min(until, deadline::after(shared.options.drain_grace));
  // All places free: the last connection has ended.
  const std::uint32_t all = shared.options.max_connections;
  if (co_await shared.connections.async_acquire_until(grace, {}, all)) co_return;
  shared.idle_stop.request_stop();
  if (co_await shared.connections.async_acquire_until(until, {}, all)) co_return;
  shared.log(
      fmt::format("http: {} connections were still busy when the time to drain was over", shared.counters.connections));
  connections.stop();
}

server::server(io::event_loop& loop, router routes, server_options options)
    : state_(std::make_unique<state>(loop, std::move(routes), std::move(options))) {}

server::~server() {
  if (state_->running) fatal("an http::server was destroyed while it runs; drain it and await run()");
}

std::expected<void, io::io_error> server::listen(std::string_view host, std::uint16_t port) {
  auto bound = io::tcp_listener::bind(state_->loop, host, port);
  if (!bound) return std::unexpected(bound.error());
  state_->listener = *std::move(bound);
  return {};
}

std::uint16_t server::port() const noexcept { return state_->listener.port(); }

task<void> server::run() {
  state& self = *state_;
  if (self.running || !self.listener.is_open()) fatal("http::server::run is awaited once, after listen");
  co_await this_task::resume_on(self.loop);
  self.running = true;
  struct ended {
    bool& running;
    ~ended() { running = false; }
  };
  const ended mark{self.running};
  co_await with_scope([&self](scope& connections) -> task<void> {
    co_await self.accept_all(connections);
    co_await self.wait_for_the_last(connections);
  });
}

void server::drain(std::chrono::milliseconds within) {
  std::int64_t unset = 0;
  if (state_->drain_until_ns.compare_exchange_strong(unset, deadline::after(within).ns())) {
    state_->drain_begins.request_stop();
  }
}

server_stats server::stats() const noexcept { return state_->shared.current(); }

}  // namespace heddle::http
