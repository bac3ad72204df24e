#pragma once

#include <heddle/http/internal/head_rules.hpp>
#include <heddle/http/message.hpp>
#include <heddle/http/parser.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>
#include <type_traits>

namespace heddle::http::internal {

/// Beast's parser for one message, filling `message` and judging the head as soon as it is complete. It is fed only
/// whole elements (a head, a chunk's line, the last chunk with its trailers) and pieces of body, cut by `line_gate`, so
/// that it never has to search for their ends.
template <bool IsRequest>
class message_sink final : public boost::beast::http::basic_parser<IsRequest> {
  using base = boost::beast::http::basic_parser<IsRequest>;
  using error_code = boost::beast::error_code;
  using beast_error = boost::beast::http::error;
  using beast_view = boost::beast::string_view;

 public:
  using message_type = std::conditional_t<IsRequest, request, response>;

  message_sink(const limits& allowed, bool no_body) : max_body_(allowed.max_body_bytes) {
    this->header_limit(UINT32_MAX);  // line_gate has counted already
    this->body_limit(boost::none);   // counted here, for all three kinds of body alike
    this->skip(no_body);
  }

  /// Hands one element to the grammar. Returns how much of it was read; 0 for the line of the last chunk, which is
  /// only read together with the trailers.
  std::expected<std::size_t, parse_error> put_element(std::string_view element) {
    error_code error;
    const std::size_t read = this->put(boost::asio::const_buffer(element.data(), element.size()), error);
    if (failure_) return std::unexpected(*failure_);
    if (error && error != beast_error::need_more) return std::unexpected(verdict(error, element));
    return read;
  }

  /// Ends a body that has no length.
  void end_of_stream() {
    error_code ignored;
    this->put_eof(ignored);
  }

  /// Bytes still to come in the current chunk.
  [[nodiscard]] std::uint64_t chunk_left() const noexcept { return chunk_left_; }
  /// True once the head has been read and found acceptable.
  [[nodiscard]] bool head_accepted() const noexcept { return head_accepted_; }

  message_type message;

 private:
  static std::string_view plain(beast_view text) noexcept { return {text.data(), text.size()}; }

  // Ends the parse with `why`; the value of `error` only has to be an error.
  void refuse(parse_error why, error_code& error) {
    failure_ = why;
    error = beast_error::bad_value;
  }

  [[nodiscard]] std::size_t body_left() const noexcept { return max_body_ - message.body.size(); }

  // What Beast's refusal is called here.
  parse_error verdict(const error_code& error, std::string_view element) const {
    if (head_accepted_) return parse_error::bad_chunk;
    if (error == beast_error::bad_target) return parse_error::bad_target;
    if (error == beast_error::bad_version) {
      return names_other_version(element) ? parse_error::unsupported_version : parse_error::bad_start_line;
    }
    if (error == beast_error::bad_content_length || error == beast_error::multiple_content_length) {
      return message.headers.contains("transfer-encoding") ? parse_error::conflicting_length
                                                           : parse_error::bad_content_length;
    }
    if (error == beast_error::bad_transfer_encoding) {
      return message.headers.contains("content-length") ? parse_error::conflicting_length
                                                        : parse_error::bad_transfer_encoding;
    }
    if (error == beast_error::bad_method || error == beast_error::bad_status || error == beast_error::bad_reason) {
      return parse_error::bad_start_line;
    }
    return parse_error::bad_header;
  }

  // Is this head's version well-formed, so that it was refused for its number?
  static bool names_other_version(std::string_view head) noexcept {
    std::string_view word = head.substr(0, head.find("\r\n"));
    if constexpr (IsRequest) {
      word = word.substr(std::min(word.size(), word.rfind(' ') + 1));
    } else {
      word = word.substr(0, word.find(' '));
    }
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    return word.size() == 8 && word.starts_with("HTTP/") && digit(word[5]) && word[6] == '.' && digit(word[7]) &&
           !word.ends_with("1.0") && !word.ends_with("1.1");
  }

  void on_request_impl(boost::beast::http::verb, beast_view method, beast_view target, int version,
                       error_code& error) override {
    if constexpr (IsRequest) {
      message.method = plain(method);
      message.target = plain(target);
      message.version = static_cast<http::version>(version);
      if (!acceptable_target(message.method, message.target)) refuse(parse_error::bad_target, error);
    }
  }

  void on_response_impl(int code, beast_view reason, int version, error_code& error) override {
    if constexpr (!IsRequest) {
      message.status = static_cast<unsigned>(code);
      message.reason = plain(reason);
      message.version = static_cast<http::version>(version);
      if (code < 100) refuse(parse_error::bad_start_line, error);
      if (code == 101) refuse(parse_error::unexpected_upgrade, error);
    }
  }

  void on_field_impl(boost::beast::http::field, beast_view name, beast_view value, error_code&) override {
    if (!head_accepted_) message.headers.add(plain(name), plain(value));  // trailers are dropped
  }

  void on_header_impl(error_code& error) override {
    std::expected<void, parse_error> fine;
    if constexpr (IsRequest) {
      fine = check_request_head(message);
    } else {
      fine = check_framing(message.version, message.headers);
    }
    if (!fine) return refuse(fine.error(), error);
    const auto length = this->content_length();
    if (!this->is_done() && length) {
      if (*length > max_body_) return refuse(parse_error::body_too_large, error);
      // A length that is only claimed must not cost memory.
      message.body.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(*length, 16 * 1024)));
    }
    head_accepted_ = true;
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}

  std::size_t on_body_impl(beast_view body, error_code& error) override {
    if (body.size() > body_left()) {
      refuse(parse_error::body_too_large, error);
      return 0;
    }
    message.body.append(plain(body));
    return body.size();
  }

  void on_chunk_header_impl(std::uint64_t size, beast_view, error_code& error) override {
    if (size > body_left()) return refuse(parse_error::body_too_large, error);
    chunk_left_ = size;
  }

  std::size_t on_chunk_body_impl(std::uint64_t, beast_view body, error_code&) override {
    message.body.append(plain(body));
    chunk_left_ -= body.size();
    return body.size();
  }

  void on_finish_impl(error_code&) override {}

  std::size_t max_body_;
  std::uint64_t chunk_left_ = 0;
  std::optional<parse_error> failure_;
  bool head_accepted_ = false;
};

}  // namespace heddle::http::internal
