#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/http/message.hpp>
#include <heddle/http/parser.hpp>
#include <heddle/io/event_loop.hpp>
#include <heddle/task/task.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

namespace heddle::http {

/// Why a request got no response.
enum class client_errc : std::uint8_t {
  bad_request,     ///< the request cannot be written: see `serialize`
  connect_failed,  ///< no connection came about; nothing was sent
  timeout,         ///< the deadline came first; the server may have acted or not
  stopped,         ///< the stop_token that was passed fired first; the server may have acted or not
  stale,           ///< a kept connection turned out to be closed before any byte came; most likely nothing was done
  reset,           ///< the connection broke off before the response was complete
  closed,          ///< the server closed the connection before the response was complete
  bad_response,    ///< what came is no acceptable response
  too_large,       ///< the response is over the limits
};

/// The kind's name in lower case: "connect_failed", ….
[[nodiscard]] std::string_view to_string(client_errc kind) noexcept;

/// Why a request got no response, for programs and for people.
struct client_error {
  client_errc kind;
  std::string text;  ///< one phrase that names host, port and reason
};

/// What a client allows.
struct client_options {
  /// Sizes of a response.
  http::limits limits = {.max_body_bytes = std::size_t{8} * 1024 * 1024};
  /// Connections to one host and port at once, in use and kept; further requests wait until one is free.
  std::uint32_t max_connections = 32;
  /// A connection that has not been used for so long is not used again.
  /// [test: client.a_connection_that_was_idle_for_too_long_is_not_used_again]
  std::chrono::milliseconds idle_timeout{15'000};
  /// The longest that connecting may take, within the request's deadline.
  std::chrono::milliseconds connect_timeout{5'000};
};

/// What one request allows.
struct send_options {
  /// When the response must be complete. The context's deadline counts, too. [test: client.a_deadline_ends_a_request]
  deadline until = {};
  /// Ends the request early. The stop of the task's own context unwinds the task instead.
  /// [test: client.a_stop_ends_a_request, client.a_stopped_task_takes_its_connection_with_it]
  std::stop_token stop = {};
  /// Send a request again, once and on a new connection, if a kept one turned out to be stale; only requests that may
  /// be repeated: GET, HEAD, OPTIONS, PUT, DELETE, and any that have an `Idempotency-Key`.
  bool retry_stale = true;
};

/// What a client has done so far, and does now.
struct client_stats {
  std::uint64_t connected = 0;  ///< connections made
  std::uint64_t reused = 0;     ///< requests sent on a kept connection
  std::uint64_t retried = 0;    ///< requests sent again because the kept connection was stale
  std::size_t kept = 0;         ///< connections kept now
};

/// Sends HTTP/1.1 requests on an event loop, and keeps connections for the next ones, per host and port.
///
/// - A connection is used again. [test: client.a_connection_is_used_again]
/// - No more connections than allowed are open to a host. [test: client.no_more_connections_than_allowed]
/// - A kept connection that the server has closed is noticed; what may be repeated is sent again, the rest is told as
///   stale. [test: client.a_stale_connection_is_replaced_for_what_may_be_repeated]
/// - A request that ends early, for whatever reason, takes its connection with it: no response can be mistaken for
///   another's. [test: client.a_late_response_is_never_taken_for_the_next_one]
///
/// Names other than "localhost" are not looked up. Pools of hosts once used are kept: do not send to unbounded sets of
/// hosts. Redirects are not followed.
///
/// Thread-safety: on the loop's thread only. Destroying it while a request is under way ends the program.
class client {
 public:
  explicit client(io::event_loop& loop, client_options options = {});
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  /// Sends a request and awaits the whole response, whatever its status.
  ///
  /// `Host` is added if it is missing. The version is always 1.1.
  /// @param host an IPv4 or IPv6 address, or "localhost"
  [[nodiscard]] task<std::expected<response, client_error>> send(std::string host, std::uint16_t port, request message,
                                                                 send_options options = {});

  /// Closes the connections that are kept.
  void close_idle() noexcept;

  [[nodiscard]] client_stats stats() const noexcept;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace heddle::http
