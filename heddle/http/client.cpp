#include <heddle/http/client.hpp>

#include <heddle/base/fatal.hpp>
#include <heddle/http/serialize.hpp>
#include <heddle/io/tcp_stream.hpp>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/this_task.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace heddle::http {

namespace {

using clock = std::chrono::steady_clock;
using failure = std::unexpected<client_error>;

// A connection between two requests.
struct kept_stream {
  io::tcp_stream stream;
  clock::time_point since;
};

// The connections to one host and port.
struct pool {
  explicit pool(std::string name, std::uint32_t most) : authority(std::move(name)), places(most, "http client") {}

  const std::string authority;
  semaphore places;               // one per connection in use
  std::vector<kept_stream> kept;  // the most recently used last
};

bool may_be_repeated(const request& message) noexcept {
  constexpr std::array<std::string_view, 5> idempotent = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
  return std::ranges::find(idempotent, message.method) != idempotent.end() ||
         message.headers.contains("idempotency-key");
}

client_errc kind_of(io::io_errc kind) noexcept {
  switch (kind) {
    case io::io_errc::timeout: return client_errc::timeout;
    case io::io_errc::stopped: return client_errc::stopped;
    case io::io_errc::closed: return client_errc::closed;
    default: return client_errc::reset;
  }
}

client_errc kind_of(parse_error error) noexcept {
  switch (error) {
    case parse_error::head_too_large:
    case parse_error::too_many_headers:
    case parse_error::target_too_long:
    case parse_error::body_too_large: return client_errc::too_large;
    case parse_error::truncated: return client_errc::closed;
    default: return client_errc::bad_response;
  }
}

}  // namespace

std::string_view to_string(client_errc kind) noexcept {
  switch (kind) {
    case client_errc::bad_request: return "bad_request";
    case client_errc::connect_failed: return "connect_failed";
    case client_errc::timeout: return "timeout";
    case client_errc::stopped: return "stopped";
    case client_errc::stale: return "stale";
    case client_errc::reset: return "reset";
    case client_errc::closed: return "closed";
    case client_errc::bad_response: return "bad_response";
    case client_errc::too_large: return "too_large";
  }
  return "unknown";
}

struct client::state {
  // What one attempt of a request works with.
  struct attempt {
    pool& at;
    const request& message;
    std::string_view bytes;
    deadline until;
    std::stop_token stop;
  };

  state(io::event_loop& runs_on, client_options allowed) : loop(runs_on), options(allowed) {}

  pool& pool_of(std::string_view host, std::uint16_t port);
  task<std::expected<response, client_error>> send(std::string host, std::uint16_t port, request message,
                                                   send_options how);
  task<std::optional<io::tcp_stream>> take_kept(pool& from);
  task<std::expected<io::tcp_stream, client_error>> connect(std::string_view host, std::uint16_t port,
                                                            const attempt& what);
  task<std::expected<response, client_error>> exchange(io::tcp_stream stream, bool reused, const attempt& what);

  static failure fail(const attempt& what, client_errc kind, std::string_view why) {
    return failure(client_error{kind, fmt::format("{}: {}", what.at.authority, why)});
  }

  io::event_loop& loop;
  const client_options options;
  client_stats counters;
  std::map<std::pair<std::string, std::uint16_t>, std::unique_ptr<pool>> pools;
  std::size_t under_way = 0;
};

pool& client::state::pool_of(std::string_view host, std::uint16_t port) {
  auto& found = pools[{std::string(host), port}];
  if (!found) {
    const bool address6 = host.contains(':');
    found = std::make_unique<pool>(fmt::format(fmt::runtime(address6 ? "[{}]:{}" : "{}:{}"), host, port),
                                   options.max_connections);
  }
  return *found;
}

task<std::expected<response, client_error>> client::state::send(std::string host, std::uint16_t port, request message,
                                                                send_options how) {
  struct counted {
    std::size_t& count;
    explicit counted(std::size_t& all) noexcept : count(all) { ++count; }
    ~counted() { --count; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
  };
  const counted here(under_way);
  const task_context& context = co_await this_task::context();
  pool& at = pool_of(host, port);

  message.version = version::http_1_1;
  if (!message.headers.contains("host")) message.headers.add("Host", at.authority);
  std::string bytes;
  const auto written = serialize(message, bytes);
  const attempt what{at, message, bytes, std::min(how.until, context.until), how.stop};
  if (!written) co_return fail(what, client_errc::bad_request, to_string(written.error()));

  const auto place = co_await at.places.async_acquire_until(what.until, what.stop);
  if (!place) {
    co_return fail(what, place.error() == wait_error::stopped ? client_errc::stopped : client_errc::timeout,
                   "no connection became free");
  }
  if (auto kept = co_await take_kept(at)) {
    ++counters.reused;
    auto answered = co_await exchange(*std::move(kept), true, what);
    const bool again = !answered && answered.error().kind == client_errc::stale && how.retry_stale;
    if (!again || !may_be_repeated(message)) co_return std::move(answered);
    ++counters.retried;
  }
  auto fresh = co_await connect(host, port, what);
  if (!fresh) co_return failure(std::move(fresh).error());
  co_return co_await exchange(*std::move(fresh), false, what);
}

// The most recently used connection that still seems alive: nothing has come on it, not even its end.
task<std::optional<io::tcp_stream>> client::state::take_kept(pool& from) {
  const auto oldest = clock::now() - options.idle_timeout;
  std::erase_if(from.kept, [&](const kept_stream& one) { return one.since < oldest; });
  while (!from.kept.empty()) {
    io::tcp_stream stream = std::move(from.kept.back().stream);
    from.kept.pop_back();
    std::array<std::byte, 1> probe;
    const auto read = co_await stream.read_some(probe, deadline::at_ns(0));  // past: it only looks
    if (!read && read.error().kind == io::io_errc::timeout) co_return std::move(stream);
  }
  co_return std::nullopt;
}

task<std::expected<io::tcp_stream, client_error>> client::state::connect(std::string_view host, std::uint16_t port,
                                                                         const attempt& what) {
  const deadline soon = deadline::after(options.connect_timeout);
  auto made = co_await io::tcp_stream::connect(loop, host, port, std::min(soon, what.until), what.stop);
  if (made) {
    ++counters.connected;
    co_return *std::move(made);
  }
  client_errc kind = client_errc::connect_failed;
  if (made.error().kind == io::io_errc::stopped) kind = client_errc::stopped;
  if (made.error().kind == io::io_errc::timeout && what.until <= soon) kind = client_errc::timeout;
  co_return fail(what, kind, made.error().text());
}

task<std::expected<response, client_error>> client::state::exchange(io::tcp_stream stream, bool reused,
                                                                    const attempt& what) {
  const auto sent = co_await stream.write_all(std::as_bytes(std::span(what.bytes)), what.until, what.stop);
  if (!sent && (sent.error().kind == io::io_errc::timeout || sent.error().kind == io::io_errc::stopped)) {
    co_return fail(what, kind_of(sent.error().kind), sent.error().text());
  }
  // After a broken write the server's reason may still be there to be read.
  response_parser parser(options.limits);
  if (what.message.method == "HEAD") parser.expect_no_body();
  std::vector<std::byte> buffer(std::size_t{8} * 1024);
  bool clean = sent.has_value();
  while (!parser.done()) {
    const auto read = co_await stream.read_some(buffer, what.until, what.stop);
    const bool ended = read && *read == 0;
    if (!read || ended) {
      const bool silent = reused && parser.idle();
      if (!read && (read.error().kind == io::io_errc::timeout || read.error().kind == io::io_errc::stopped)) {
        co_return fail(what, kind_of(read.error().kind), read.error().text());
      }
      if (silent) co_return fail(what, client_errc::stale, "the server had closed the kept connection");
      if (!read) co_return fail(what, client_errc::reset, read.error().text());
      if (!parser.idle() && parser.finish()) break;
      co_return fail(what, client_errc::closed, "the server closed the connection before the response was complete");
    }
    const auto parsed = parser.feed(std::span(buffer).first(*read));
    if (!parsed) co_return fail(what, kind_of(parsed.error()), to_string(parsed.error()));
    clean = clean && *parsed == *read;
  }
  clean = clean && !parser.until_close();
  response answer = parser.take();
  if (clean && keep_alive(answer)) what.at.kept.push_back({std::move(stream), clock::now()});
  co_return std::move(answer);
}

client::client(io::event_loop& loop, client_options options) : state_(std::make_unique<state>(loop, options)) {}

client::~client() {
  if (state_->under_way != 0) fatal("an http::client was destroyed while a request is under way");
}

task<std::expected<response, client_error>> client::send(std::string host, std::uint16_t port, request message,
                                                         send_options options) {
  return state_->send(std::move(host), port, std::move(message), std::move(options));
}

void client::close_idle() noexcept {
  for (auto& [name, at] : state_->pools) at->kept.clear();
}

client_stats client::stats() const noexcept {
  client_stats now = state_->counters;
  for (const auto& [name, at] : state_->pools) now.kept += at->kept.size();
  return now;
}

}  // namespace heddle::http
