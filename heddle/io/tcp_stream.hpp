#pragma once

#include <heddle/base/deadline.hpp>
#include <heddle/io/event_loop.hpp>
#include <heddle/io/handle_wait.hpp>
#include <heddle/io/io_error.hpp>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <source_location>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

namespace heddle::io {

class connect_awaiter;
class read_awaiter;
class write_awaiter;

/// A TCP connection. Made by connect() or by tcp_listener::accept(); closed when it is destroyed.
///
/// One task may read while another writes; two readers or two writers at once end the program. Every operation first
/// tries, and waits only if it must; so what can be done at once is done even if the deadline has passed. All waits
/// take a deadline (io_errc::timeout) and a stop_token (io_errc::stopped); the stop of the task's own context unwinds
/// the task. TCP_NODELAY is on: a write leaves at once.
///
/// - Bytes arrive complete and in order, also when the reader is slower than the writer.
///   [test: tcp.a_big_transfer_arrives_whole_under_back_pressure]
/// - A task that waits for a stream shows in park's snapshot. [test: tcp.a_waiting_read_shows_in_the_snapshot]
/// - Reading and writing allocate nothing. [test: tcp_cost.reading_and_writing_allocate_nothing]
/// - After a deadline or a stop nobody stands in the stream's queues. [test: tcp.a_timeout_leaves_no_waiter_behind,
///   tcp.a_stop_leaves_no_waiter_behind]
/// - Destroying a stream while a task waits for it ends the program.
///   [test: tcp_misuse.destroying_a_stream_under_a_reader_is_fatal]
///
/// Cost: a system call per operation that is ready; one more turn of the loop for one that is not. No allocation but at
/// connect and accept.
/// Thread-safety: one reader and one writer at a time, whichever threads they run on. Everything else, and close()
/// above all, only where no operation runs at the same moment, which holds by itself if all of a stream's tasks run on
/// the loop.
class tcp_stream {
 public:
  /// A closed stream; for assignment.
  tcp_stream() noexcept = default;
  tcp_stream(tcp_stream&& other) noexcept : handle_{std::exchange(other.handle_, nullptr)} {}
  tcp_stream& operator=(tcp_stream&& other) noexcept;
  ~tcp_stream() { destroy(); }

  /// Awaits std::expected<tcp_stream, io_error>: connects to an IPv4 or IPv6 address, or to "localhost" (127.0.0.1).
  /// Other names are not looked up; they give io_errc::other and say so.
  /// @param host must live until the result is there.
  /// - Where nobody listens it is refused. [test: tcp.connecting_where_nobody_listens_is_refused]
  /// - A name that is no address is answered with a clear error. [test: tcp.a_name_is_not_looked_up]
  [[nodiscard]] static connect_awaiter connect(event_loop& loop, std::string_view host, std::uint16_t port,
                                               deadline until = {}, std::stop_token stop = {},
                                               std::source_location site = std::source_location::current()) noexcept;

  /// Awaits std::expected<std::size_t, io_error>: reads what there is, at least one byte, at most `into` holds. 0 means
  /// that the other side has ended its sending, now and on every later read. `into` must not be empty (io_errc::other).
  /// - A read that timed out or was stopped has consumed nothing.
  ///   [test: tcp.a_read_that_timed_out_has_consumed_nothing, tcp.stops_and_deadlines_that_race_with_bytes_lose_none]
  /// - The end of the stream reads as 0, and this side can still write. [test: tcp.half_close_lets_the_answer_through]
  /// - A broken connection gives reset. [test: tcp.a_reset_is_told_to_the_reader]
  [[nodiscard]] read_awaiter read_some(std::span<std::byte> into, deadline until = {}, std::stop_token stop = {},
                                       std::source_location site = std::source_location::current()) noexcept;

  /// Awaits std::expected<void, io_error>: writes all of `bytes`, in as many steps as it takes. When it ends early,
  /// io_error::transferred says how much was handed to the system.
  /// - A write that ends early says how much it wrote. [test: tcp.a_write_that_timed_out_says_how_much_was_written]
  [[nodiscard]] write_awaiter write_all(std::span<const std::byte> bytes, deadline until = {},
                                        std::stop_token stop = {},
                                        std::source_location site = std::source_location::current()) noexcept;

  /// The same for several pieces, which leave together. The array of spans must live until the result is there.
  /// - The pieces arrive in order, as one. [test: tcp.several_buffers_are_written_as_one]
  [[nodiscard]] write_awaiter write_all(std::span<const std::span<const std::byte>> pieces, deadline until = {},
                                        std::stop_token stop = {},
                                        std::source_location site = std::source_location::current()) noexcept;

  /// Ends this side's sending: the other side reads 0 after what was sent. Never waits.
  std::expected<void, io_error> shutdown_write() noexcept;

  /// Closes at once; tasks that wait for it go on with io_errc::closed, and so does whoever uses it later.
  /// - A waiting task is told that the stream was closed. [test: tcp.closing_wakes_the_reader]
  void close() noexcept;

  /// As close(), but the other side sees a reset, and what was not yet sent is dropped. For connections that are to
  /// leave nothing behind.
  void abort() noexcept;

  [[nodiscard]] bool is_open() const noexcept;

  /// The other side's address, as "127.0.0.1:8080" or "[::1]:8080"; empty once it is closed.
  [[nodiscard]] std::string peer() const;
  [[nodiscard]] std::string local() const;

 private:
  friend class connect_awaiter;
  friend class accept_awaiter;
  explicit tcp_stream(handle* h) noexcept : handle_{h} {}
  void destroy() noexcept;

  handle* handle_ = nullptr;
};

/// What tcp_stream::connect() returns.
class [[nodiscard]] connect_awaiter final : public handle_wait {
 public:
  std::expected<tcp_stream, io_error> await_resume() noexcept;

 private:
  friend class tcp_stream;
  connect_awaiter(event_loop& loop, std::string_view host, std::uint16_t port, deadline until, std::stop_token stop,
                  std::source_location site) noexcept;
  [[nodiscard]] progress attempt() noexcept override;
  void ended(io_errc why) noexcept override;
  [[nodiscard]] progress begin() noexcept;
  progress fail(io_error error) noexcept;

  std::string_view host_;
  std::uint16_t port_;
  tcp_stream made_;
  std::optional<io_error> error_;
};

/// What tcp_stream::read_some() returns.
class [[nodiscard]] read_awaiter final : public handle_wait {
 public:
  std::expected<std::size_t, io_error> await_resume() noexcept { return std::move(result_); }

 private:
  friend class tcp_stream;
  read_awaiter(handle* h, std::span<std::byte> into, deadline until, std::stop_token stop,
               std::source_location site) noexcept;
  [[nodiscard]] progress attempt() noexcept override;
  void ended(io_errc why) noexcept override;

  std::span<std::byte> into_;
  std::expected<std::size_t, io_error> result_{0};
};

/// What tcp_stream::write_all() returns.
class [[nodiscard]] write_awaiter final : public handle_wait {
 public:
  std::expected<void, io_error> await_resume() noexcept { return std::move(result_); }

 private:
  friend class tcp_stream;
  write_awaiter(handle* h, std::span<const std::byte> single, std::span<const std::span<const std::byte>> pieces,
                deadline until, std::stop_token stop, std::source_location site) noexcept;
  [[nodiscard]] progress attempt() noexcept override;
  void ended(io_errc why) noexcept override;
  [[nodiscard]] std::span<const std::span<const std::byte>> pieces() const noexcept;
  void advance(std::size_t bytes) noexcept;

  std::span<const std::byte> single_;  // what there is to write if there is only one piece
  std::span<const std::span<const std::byte>> pieces_;
  std::size_t piece_ = 0;        // the first piece that is not yet written
  std::size_t offset_ = 0;       // how much of it is
  std::size_t transferred_ = 0;  // in all
  std::expected<void, io_error> result_;
};

}  // namespace heddle::io
