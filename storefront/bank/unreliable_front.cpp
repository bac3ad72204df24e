#include <storefront/bank/unreliable_front.hpp>

#include <array>
#include <string_view>
#include <utility>

namespace storefront::gateway {

namespace io = heddle::io;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view refusal =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\n"
    "Content-Length: 39\r\n\r\n{\"title\":\"out of service\",\"status\":503}";
static_assert(refusal.substr(refusal.find("\r\n\r\n") + 4).size() == 39);

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

}  // namespace

unreliable_front::unreliable_front(io::event_loop& loop, fault_options how)
    : loop_{loop}, how_{how}, random_{how.seed} {}

std::expected<void, io::io_error> unreliable_front::listen(const address& at) {
  auto bound = io::tcp_listener::bind(loop_, at.host, at.port);
  if (!bound) return std::unexpected{bound.error()};
  listener_ = *std::move(bound);
  return {};
}

unreliable_front::fault unreliable_front::draw() {
  const auto now = std::chrono::steady_clock::now();
  if (counts_.calls++ == 0) first_call_ = now;
  if (now - first_call_ < how_.clean) return fault::none;
  if (std::uniform_real_distribution{0.0, 100.0}(random_) >= how_.percent) return fault::none;
  return static_cast<fault>(std::uniform_int_distribution{1, 4}(random_));
}

heddle::task<void> unreliable_front::run(address bank) {
  co_await heddle::with_scope([&](heddle::scope& connections) -> heddle::task<void> {
    for (;;) {
      auto accepted = co_await listener_.accept();
      if (!accepted) {
        co_await loop_.sleep_for(10ms);  // out of descriptors: others have to end first
        continue;
      }
      connections.spawn(serve(*std::move(accepted), bank), "bank call");
    }
  });
}

heddle::task<void> unreliable_front::serve(io::tcp_stream caller, const address& bank) {
  auto connected = co_await io::tcp_stream::connect(loop_, bank.host, bank.port, heddle::deadline::after(2s));
  if (!connected) co_return;
  io::tcp_stream to_bank = *std::move(connected);
  co_await pass_calls(caller, to_bank);
}

heddle::task<void> unreliable_front::pass_calls(io::tcp_stream& caller, io::tcp_stream& bank) {
  std::array<std::byte, 16'384> buffer;
  for (;;) {
    const auto asked = co_await caller.read_some(buffer);
    if (!asked || *asked == 0) co_return;
    const fault now = draw();
    if (now == fault::refuse) {
      ++counts_.refused;
      if (!co_await caller.write_all(bytes_of(refusal))) co_return;
      continue;
    }
    if (now == fault::reset) {
      ++counts_.reset;
      caller.abort();
      co_return;
    }
    if (!co_await bank.write_all(std::span{buffer}.first(*asked))) co_return;
    const auto answered = co_await bank.read_some(buffer);
    if (!answered || *answered == 0) co_return;
    if (now == fault::lose) {
      ++counts_.lost;
      caller.abort();
      co_return;
    }
    if (now == fault::delay) {
      ++counts_.delayed;
      const auto most = std::chrono::duration_cast<std::chrono::microseconds>(how_.delay).count();
      co_await loop_.sleep_for(
          std::chrono::microseconds{std::uniform_int_distribution<std::int64_t>{0, most}(random_)});
    }
    if (!co_await caller.write_all(std::span{buffer}.first(*answered))) co_return;
  }
}

}  // namespace storefront::gateway
