#pragma once

#include <heddle/http/internal/service.hpp>
#include <heddle/http/parser.hpp>
#include <heddle/io/tcp_stream.hpp>
#include <heddle/task/task.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::http::internal {

/// One connection of a server, from its accept to its close.
class connection {
 public:
  connection(service& shared, io::tcp_stream stream);

  /// Reads requests and answers them until the connection ends. Throws only if memory runs out.
  [[nodiscard]] task<void> serve();

 private:
  using clock = std::chrono::steady_clock;

  // How a read ended.
  enum class got : std::uint8_t { bytes, nothing };  // nothing: the connection is to be closed

  [[nodiscard]] task<got> read_more();
  [[nodiscard]] task<void> answer_request();
  [[nodiscard]] task<void> flush();
  [[nodiscard]] task<void> linger();

  [[nodiscard]] std::expected<void, parse_error> parse();
  void refuse(response why);
  void begin_phase(clock::time_point now) noexcept;
  [[nodiscard]] deadline read_deadline() const noexcept;
  void size_buffer();
  void append(response answer, const request& asked, bool close);

  service& shared_;
  io::tcp_stream stream_;
  request_parser parser_;
  std::vector<std::byte> buffer_;  // small while idle
  std::string_view unread_;        // what of the buffer has been read from the stream but not yet by the parser
  std::string out_;                // responses not yet sent
  clock::time_point phase_start_;  // when the idleness, the head or the body began
  std::uint64_t phase_bytes_ = 0;  // read since
  bool in_body_ = false;           // the phase is that of a body
  bool continued_ = false;         // 100 Continue was sent for this request
  bool full_read_ = false;         // the last read filled the buffer
  bool closing_ = false;           // nothing more will be read as a request
  bool refused_ = false;           // the peer may still be sending what will not be read as requests
  bool broken_ = false;            // nothing more can be sent
};

}  // namespace heddle::http::internal
