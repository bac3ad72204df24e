#pragma once

// For tests: a server on a loop of its own, and clients that say exactly the given bytes.

#include <heddle/base/deadline.hpp>
#include <heddle/http/parser.hpp>
#include <heddle/http/server.hpp>
#include <heddle/io/event_loop.hpp>
#include <heddle/io/tcp_stream.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/this_task.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace heddle::http::internal {

/// How long a test waits for what must come.
inline deadline patience() { return deadline::after(std::chrono::seconds(30)); }

/// A client that sends and receives bytes.
class raw_client {
 public:
  explicit raw_client(io::tcp_stream stream) : stream_(std::move(stream)) {}

  static task<raw_client> connect(io::event_loop& loop, std::uint16_t port) {
    auto made = co_await io::tcp_stream::connect(loop, "127.0.0.1", port, patience());
    EXPECT_TRUE(made) << made.error().text();
    co_return raw_client(made ? *std::move(made) : io::tcp_stream());
  }

  /// Sends; true if it could.
  task<bool> say(std::string_view text) {
    co_return (co_await stream_.write_all(std::as_bytes(std::span(text)), patience())).has_value();
  }

  /// The next response, whole; an empty one with status 0 if none comes. `wait`: how long.
  task<response> hear(deadline until, bool to_head = false) {
    if (to_head) parser_.expect_no_body();
    while (!parser_.done()) {
      if (received_.empty()) {
        const auto read = co_await this->read(until);
        if (!read) co_return nothing();
        if (*read == 0) {
          if (parser_.idle() || !parser_.finish()) co_return nothing();
          break;
        }
      }
      const auto used = parser_.feed(received_);
      EXPECT_TRUE(used) << to_string(used.error()) << ":\n" << received_;
      if (!used) co_return nothing();
      received_.erase(0, *used);
    }
    co_return parser_.take();
  }
  task<response> hear() { return hear(patience()); }

  /// Everything up to the server's close.
  task<std::string> hear_all() {
    while (true) {
      const auto read = co_await this->read(patience());
      if (!read || *read == 0) co_return std::move(received_);
    }
  }

  /// True if the server closes the connection without another byte.
  task<bool> closed() {
    if (!received_.empty()) co_return false;
    const auto read = co_await this->read(patience());
    co_return read && *read == 0;
  }

  /// True if nothing comes for so long.
  task<bool> silent(std::chrono::milliseconds time) {
    const auto read = co_await this->read(deadline::after(time));
    co_return !read && read.error().kind == io::io_errc::timeout;
  }

  io::tcp_stream& stream() noexcept { return stream_; }

 private:
  static response nothing() {
    response made;
    made.status = 0;
    return made;
  }

  task<std::expected<std::size_t, io::io_error>> read(deadline until) {
    std::array<std::byte, 4096> buffer;
    const auto count = co_await stream_.read_some(buffer, until);
    if (count) received_.append(reinterpret_cast<const char*>(buffer.data()), *count);
    co_return count;
  }

  io::tcp_stream stream_;
  response_parser parser_{limits{.max_body_bytes = std::size_t{64} * 1024 * 1024}};
  std::string received_;
};

/// Runs `body(server, loop)` beside a server with these routes, then drains it.
template <typename Body>
void beside_server(router routes, server_options options, Body body) {
  io::event_loop loop;
  server serving(loop, std::move(routes), std::move(options));
  const auto listening = serving.listen("127.0.0.1", 0);
  ASSERT_TRUE(listening) << listening.error().text();
  const auto test = [&]() -> task<void> {
    co_await with_scope([&](scope& both) -> task<void> {
      both.spawn(serving.run(), "server");
      co_await body(serving, loop);
      serving.drain(std::chrono::seconds(20));
    });
  };
  loop.run(test());
}

/// Lets others run until `condition` holds; false if it never does.
template <typename Condition>
task<bool> eventually(Condition condition) {
  const deadline until = patience();
  while (!condition()) {
    if (until.has_passed()) co_return false;
    co_await this_task::yield();
  }
  co_return true;
}

}  // namespace heddle::http::internal
