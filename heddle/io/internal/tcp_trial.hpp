#pragma once

#include <heddle/io/tcp_listener.hpp>
#include <heddle/io/tcp_stream.hpp>
#include <heddle/task/this_task.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

/// What the tests of TCP share: two ends of a connection, and long streams whose bytes are known.
namespace heddle::io {

inline std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span{text}); }

struct pair {
  tcp_stream here;
  tcp_stream there;
};

// A listener, and two ends of a connection through it.
struct link {
  explicit link(event_loop& on) : loop{on}, listener{tcp_listener::bind(on, "127.0.0.1", 0).value()} {}

  task<pair> connect() {
    tcp_stream here = (co_await tcp_stream::connect(loop, "127.0.0.1", listener.port())).value();
    tcp_stream there = (co_await listener.accept()).value();
    co_return pair{std::move(here), std::move(there)};
  }

  event_loop& loop;
  tcp_listener listener;
};

// Reads until the other side has ended.
inline task<std::string> read_to_end(tcp_stream& from) {
  std::string all;
  std::array<char, 4096> buffer;
  for (;;) {
    const auto got = co_await from.read_some(std::as_writable_bytes(std::span{buffer}));
    if (!got) throw std::runtime_error{got.error().text()};
    if (*got == 0) co_return all;
    all.append(buffer.data(), *got);
  }
}

// Reads exactly so much.
inline task<std::string> read_exactly(tcp_stream& from, std::size_t size) {
  std::string all(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const auto got = co_await from.read_some(std::as_writable_bytes(std::span{all}.subspan(have)));
    if (!got || *got == 0) throw std::runtime_error{"the stream ended early"};
    have += *got;
  }
  co_return all;
}

inline task<void> echo(tcp_stream stream) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const auto got = co_await stream.read_some(buffer);
    if (!got || *got == 0) co_return;
    if (!co_await stream.write_all(std::span{buffer}.first(*got))) co_return;
  }
}

template <class Body>
void on_a_link(Body body) {
  event_loop loop;
  link over{loop};
  loop.run(body(over));
}

// The byte that stands at this place of a long stream.
inline std::byte pattern(std::size_t at) { return static_cast<std::byte>((at * 2654435761U) >> 13); }

inline task<void> send_pattern(tcp_stream& to, std::size_t size) {
  std::vector<std::byte> chunk(300'000);
  for (std::size_t at = 0; at < size;) {
    const std::size_t step = std::min(chunk.size(), size - at);
    for (std::size_t i = 0; i < step; ++i) chunk[i] = pattern(at + i);
    EXPECT_TRUE(co_await to.write_all(std::span{chunk}.first(step)));
    at += step;
  }
  EXPECT_TRUE(to.shutdown_write());
}

inline task<std::size_t> count_pattern(tcp_stream& from) {
  std::vector<std::byte> buffer(10'000);
  std::size_t at = 0;
  for (;;) {
    const auto got = co_await from.read_some(buffer);
    if (!got || *got == 0) co_return at;
    for (std::size_t i = 0; i < *got; ++i) {
      if (buffer[i] != pattern(at + i)) throw std::runtime_error{"a wrong byte at " + std::to_string(at + i)};
    }
    at += *got;
    if (at % 3 == 0) co_await this_task::yield();
  }
}

}  // namespace heddle::io
