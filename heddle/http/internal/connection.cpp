#include <heddle/http/internal/connection.hpp>

#include <heddle/http/internal/pace.hpp>
#include <heddle/http/serialize.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/this_task.hpp>

#include <fmt/format.h>

#include <span>
#include <utility>

namespace heddle::http::internal {

namespace {

// An idle connection keeps the small one only.
constexpr std::size_t small_buffer = 1024;
constexpr std::size_t large_buffer = std::size_t{16} * 1024;

// How long, and over how many bytes, a connection that was refused is still read so that the peer gets to see why: a
// close with unread bytes would reset the connection and destroy the answer on its way.
constexpr std::chrono::milliseconds linger_time{2'000};
constexpr std::size_t linger_bytes = std::size_t{256} * 1024;

task<void> keep(task<response> work, std::optional<response>& place) { place.emplace(co_await std::move(work)); }

}  // namespace

connection::connection(service& shared, io::tcp_stream stream)
    : shared_(shared), stream_(std::move(stream)), parser_(shared.options.limits), phase_start_(clock::now()) {}

task<void> connection::serve() {
  while (!closing_) {
    if (const auto fine = parse(); !fine) {
      ++shared_.counters.malformed;
      refuse(problem(status_of(fine.error()), {}, to_string(fine.error())));
    } else if (parser_.done()) {
      co_await answer_request();
    } else {
      if (parser_.head_done() && !continued_ && expects_continue(parser_.message())) {
        if (auto why = shared_.refuse_early(parser_.message())) {
          refuse(*std::move(why));
          break;
        }
        continued_ = true;
        out_ += "HTTP/1.1 100 Continue\r\n\r\n";
      }
      if (!out_.empty()) co_await flush();
      if (!closing_ && co_await read_more() == got::nothing) closing_ = true;
    }
  }
  if (!out_.empty()) co_await flush();
  if (refused_ || !unread_.empty()) co_await linger();
}

// Hands what has been read to the parser, up to the end of a request.
std::expected<void, parse_error> connection::parse() {
  while (!unread_.empty() && !parser_.done()) {
    if (parser_.idle()) begin_phase(clock::now());
    const auto read = parser_.feed(unread_);
    if (!read) return std::unexpected(read.error());
    unread_.remove_prefix(*read);
  }
  if (parser_.head_done() && !in_body_) {
    in_body_ = true;
    begin_phase(clock::now());
  }
  return {};
}

void connection::begin_phase(clock::time_point now) noexcept {
  phase_start_ = now;
  phase_bytes_ = 0;
}

deadline connection::read_deadline() const noexcept {
  const server_options& allowed = shared_.options;
  if (parser_.idle()) return phase_start_ + allowed.idle_timeout;
  const pace wanted{allowed.grace, in_body_ ? allowed.body_most : allowed.head_most, allowed.min_rate};
  return wanted.due(phase_start_, phase_bytes_);
}

void connection::size_buffer() {
  const std::size_t wanted =
      parser_.idle() || (!full_read_ && buffer_.size() <= small_buffer) ? small_buffer : large_buffer;
  if (buffer_.size() != wanted) buffer_ = std::vector<std::byte>(wanted);
}

// Only called when everything read before has been parsed.
task<connection::got> connection::read_more() {
  size_buffer();
  const bool idle = parser_.idle();
  const auto read =
      co_await stream_.read_some(buffer_, read_deadline(), idle ? shared_.idle_stop.get_token() : std::stop_token());
  if (read && *read > 0) {
    full_read_ = *read == buffer_.size();
    phase_bytes_ += *read;
    unread_ = {reinterpret_cast<const char*>(buffer_.data()), *read};
    co_return got::bytes;
  }
  if (!read && read.error().kind == io::io_errc::timeout) {
    if (!idle) {
      ++shared_.counters.timed_out;
      refuse(problem(408, {}, "the request arrives too slowly"));
    }
    co_return got::nothing;
  }
  if (read && !idle) {
    // The peer has ended its sending in the middle of a request; it may still listen.
    ++shared_.counters.malformed;
    refuse(problem(400, {}, to_string(parse_error::truncated)));
  }
  co_return got::nothing;
}

task<void> connection::answer_request() {
  ++shared_.counters.requests;
  call asked;
  asked.request = parser_.take();
  in_body_ = continued_ = false;
  begin_phase(clock::now());
  // What append() needs to know of the request, which the handler may take apart.
  request envelope;
  envelope.method = asked.request.method;
  envelope.version = asked.request.version;
  bool close = !keep_alive(asked.request);

  std::optional<response> answered;
  if (out_.empty()) {
    answered.emplace(co_await shared_.answer(asked));
  } else {
    // Earlier answers are waiting to be sent. If this one is there at once they go together; else they go now.
    co_await with_scope([&](scope& both) -> task<void> {
      both.spawn(keep(shared_.answer(asked), answered), "http handler");
      co_await this_task::yield();
      if (!answered) co_await flush();
    });
  }
  // While draining, what has already arrived is still answered.
  close = close || closing_ || (shared_.draining && unread_.empty());
  append(*std::move(answered), envelope, close);
  if (close) closing_ = true;
  if (!closing_ && out_.size() >= shared_.options.high_water) co_await flush();
  begin_phase(clock::now());
}

// Puts the response behind those that wait to be sent.
void connection::append(response answer, const request& asked, bool close) {
  answer.version = version::http_1_1;
  close = close || answer.headers.has_token("connection", "close");
  if (close) {
    closing_ = true;
  } else if (asked.version == version::http_1_0) {
    answer.headers.set("Connection", "keep-alive");
  }
  const write_options how{
      .omit_body = asked.method == "HEAD", .close = close, .chunked = false, .date = shared_.date()};
  if (const auto fine = serialize(answer, out_, how); !fine) {
    ++shared_.counters.handler_errors;
    shared_.log(fmt::format("http: a response was not sent: {}", to_string(fine.error())));
    (void)serialize(problem(500), out_, how);
  }
}

// Says why, and reads no more.
void connection::refuse(response why) {
  append(std::move(why), request(), true);
  refused_ = true;
}

// A peer that takes the bytes too slowly is cut off. What it has taken is looked at once per grace, not summed up from
// the start: the system's buffers take megabytes at once, and would stand for hours of a slow peer's time.
task<void> connection::flush() {
  if (broken_) co_return;
  ++shared_.counters.sends;
  const server_options& allowed = shared_.options;
  const std::uint64_t wanted = allowed.min_rate * static_cast<std::uint64_t>(allowed.grace.count()) / 1000;
  std::span<const std::byte> rest = std::as_bytes(std::span(out_));
  while (!rest.empty()) {
    const auto sent = co_await stream_.write_all(rest, deadline::after(allowed.grace));
    if (sent) break;
    const bool slow = sent.error().kind == io::io_errc::timeout;
    rest = rest.subspan(sent.error().transferred);
    if (slow && sent.error().transferred > 0 && sent.error().transferred >= wanted) continue;
    if (slow) ++shared_.counters.timed_out;
    broken_ = closing_ = true;
    break;
  }
  if (out_.capacity() > small_buffer) {
    std::string().swap(out_);
  } else {
    out_.clear();
  }
}

task<void> connection::linger() {
  if (broken_ || !stream_.shutdown_write()) co_return;
  const deadline until = deadline::after(linger_time);
  buffer_.resize(large_buffer);
  for (std::size_t total = 0; total < linger_bytes;) {
    const auto read = co_await stream_.read_some(buffer_, until, shared_.idle_stop.get_token());
    if (!read || *read == 0) break;
    total += *read;
  }
}

}  // namespace heddle::http::internal
