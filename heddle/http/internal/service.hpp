#pragma once

#include <heddle/http/message.hpp>
#include <heddle/http/router.hpp>
#include <heddle/http/server.hpp>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/task.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace heddle::http::internal {

/// Counts what goes on while it lives, however it ends.
class counted {
 public:
  explicit counted(std::uint32_t& count) noexcept : count_(count) { ++count_; }
  ~counted() { --count_; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;

 private:
  std::uint32_t& count_;
};

/// What the connections of one server share: its routes, who may run a handler now, the counters. Lives on the loop's
/// thread.
class service {
 public:
  service(router routes, server_options allowed);

  /// Answers a complete request, whatever that takes: finds the route, waits for a turn, runs the handler. Throws only
  /// if memory runs out; unwinds only if the connection's task is stopped.
  [[nodiscard]] task<response> answer(call& asked);

  /// The answer to a head whose body is not worth waiting for: nobody would handle the request.
  [[nodiscard]] std::optional<response> refuse_early(const request& head) const;

  /// The present moment for `Date`; changes once a second.
  [[nodiscard]] std::string_view date();

  void log(std::string_view text) const;

  [[nodiscard]] server_stats current() const noexcept;

  const server_options options;
  server_stats counters;       // `running` is filled in by current()
  bool draining = false;       // no connection is kept alive any more
  std::stop_source idle_stop;  // fires when idle connections are to close
  semaphore connections;       // free places for connections

 private:
  [[nodiscard]] response come_back_later(response made) const;
  [[nodiscard]] task<response> handle(const router::route& route, call& asked);
  [[nodiscard]] task<std::optional<semaphore_permit>> take_turn();

  const router routes_;
  semaphore turns_;
  std::chrono::steady_clock::time_point waiting_since_;  // since when somebody has been waiting all the time
  std::chrono::sys_seconds date_second_{};
  std::string date_;
};

}  // namespace heddle::http::internal
