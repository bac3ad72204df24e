#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/http/parser.hpp>
#include <heddle/http/router.hpp>
#include <heddle/io/event_loop.hpp>
#include <heddle/io/io_error.hpp>
#include <heddle/task/task.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string_view>

namespace heddle::http {

/// What a server allows. The defaults are safe against slow and greedy clients.
struct server_options {
  /// Sizes of a request.
  http::limits limits = {};

  /// A head must be complete within `head_most` after its first byte, and, after `grace`, arrive at `min_rate` bytes
  /// per second on average; so must a body within `body_most` after its head. What is late is answered 408 and closed.
  /// Of a response the peer must take `min_rate` bytes per second in every `grace`, or it is closed.
  /// [test: server.a_head_has_a_last_moment_however_fast_it_comes, server.a_slow_reader_that_keeps_up_gets_it_all]
  std::chrono::milliseconds grace{5'000};
  std::chrono::milliseconds head_most{20'000};
  std::chrono::milliseconds body_most{60'000};
  std::uint64_t min_rate = 500;

  /// A connection that has sent nothing of its next request for so long is closed.
  /// [test: server.an_idle_connection_is_closed_without_a_word]
  std::chrono::milliseconds idle_timeout{60'000};

  /// Connections at once; beyond, nothing is accepted until one has ended, and the system lets clients wait.
  /// [test: server.no_more_connections_than_allowed_are_accepted]
  std::uint32_t max_connections = 20'000;

  /// Handlers at once. Further requests wait for their turn, at most `max_waiting` of them, each at most
  /// `max_queue_wait`; once somebody has been waiting all the time for longer than that, at most a tenth of it, so that
  /// a lasting overload does not make every request late. Who does not get a turn is answered 503 with `Retry-After`.
  std::uint32_t max_running = 256;
  std::uint32_t max_waiting = 4'096;
  std::chrono::milliseconds max_queue_wait{200};
  std::chrono::seconds retry_after{1};

  /// A handler's task is stopped after so long, and the request answered 503.
  /// [test: server.a_handler_that_takes_too_long_is_stopped_and_answered_503]
  std::chrono::milliseconds handler_timeout{30'000};

  /// Responses of pipelined requests are collected up to so many bytes before they are sent.
  std::size_t high_water = std::size_t{64} * 1024;

  /// Draining: how long a connection without a request may stay, in case one is on its way.
  /// [test: server.draining_gives_a_request_on_its_way_a_short_grace]
  std::chrono::milliseconds drain_grace{100};

  /// Told what goes wrong without anybody else being told: a handler's exception, a failed accept. By default a line on
  /// standard error. Called on the loop; must not throw.
  std::function<void(std::string_view)> log = {};
};

/// What a server has done so far, and does now.
struct server_stats {
  std::uint64_t accepted = 0;          ///< connections
  std::uint64_t requests = 0;          ///< complete and well-formed
  std::uint64_t sends = 0;             ///< writes to connections
  std::uint64_t malformed = 0;         ///< refused by the parser
  std::uint64_t timed_out = 0;         ///< closed because the peer was too slow, in sending or in receiving
  std::uint64_t shed = 0;              ///< answered 503 because no handler's turn came in time
  std::uint64_t handler_errors = 0;    ///< handlers that threw
  std::uint64_t handler_timeouts = 0;  ///< handlers that took too long
  std::uint32_t connections = 0;       ///< open now
  std::uint32_t running = 0;           ///< handlers running now
  std::uint32_t waiting = 0;           ///< requests waiting for a handler's turn now
};

/// An HTTP/1.1 and 1.0 server on an event loop: keep-alive, pipelining, chunked bodies, `Expect: 100-continue`, HEAD.
///
///     http::server server{loop, std::move(routes)};
///     if (auto fine = server.listen("127.0.0.1", 8080); !fine) …
///     loop.run(server.run());        // until somebody calls server.drain(…)
///
/// - Requests of one connection are answered in order, and responses that are ready together leave in one send.
///   [test: server.pipelined_requests_are_answered_in_order_and_together]
/// - What is malformed is answered with a clear 4xx or 5xx, then the connection is closed; the others do not notice.
///   [test: server.malformed_requests_get_their_status_and_a_close]
/// - A slow client is cut off. [test: server.a_trickling_head_is_answered_408, server.a_trickling_body_is_answered_408,
///   server.a_reader_that_does_not_read_is_cut_off]
/// - A handler that throws is a 500, is logged, and the connection lives on.
///   [test: server.a_throwing_handler_is_a_500_and_the_connection_lives_on]
/// - Overload is shed with 503 and Retry-After by the time that requests wait. [test: server.overload_is_shed_with_503]
/// - An idle connection costs a few kilobytes. [test: server.thousands_of_idle_connections_take_little_memory]
///
/// Thread-safety: everything on the loop's thread; drain() from any.
class server {
 public:
  server(io::event_loop& loop, router routes, server_options options = {});
  /// run() must have ended, or never have begun.
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// Listens. Connections wait in the system until run(). [test: server.a_taken_port_is_told]
  /// @param port 0 for any free one
  [[nodiscard]] std::expected<void, io::io_error> listen(std::string_view host, std::uint16_t port);

  /// The port that it listens on.
  [[nodiscard]] std::uint16_t port() const noexcept;

  /// Serves until drain() was called and the last connection has ended. May be awaited once, after listen().
  ///
  /// A stop of the awaiting task's context ends everything at once: connections are closed, handlers stopped.
  /// [test: server.stopping_its_task_ends_everything_at_once]
  [[nodiscard]] task<void> run();

  /// Ends serving in good order: stops accepting at once; answers what has been asked, with `Connection: close`; closes
  /// idle connections after a short grace; when `within` has passed, stops what still runs and closes the rest.
  /// - What has been asked is answered. [test: server.draining_answers_what_was_asked_and_closes]
  /// - Nobody can hold up the end. [test: server.draining_stops_a_handler_at_the_deadline]
  void drain(std::chrono::milliseconds within);

  /// The counters, as of now.
  [[nodiscard]] server_stats stats() const noexcept;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace heddle::http
