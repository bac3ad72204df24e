#include <storefront/service/bank.hpp>

#include <storefront/base/json_body.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>

namespace storefront {

namespace http = heddle::http;
using namespace std::chrono_literals;
using kind = charge_answer::kind;

namespace {

constexpr auto patience = 2s;

// The member of a JSON object, or an empty text.
std::string member_of(std::string_view body, const char* name) {
  auto object = parse_object(body);
  auto text = object ? text_member(*object, name, 1'000) : std::unexpected{http::response{}};
  return text ? *std::move(text) : std::string{};
}

charge_answer read_charge(const http::response& said) {
  if (said.status == 200 || said.status == 201) {
    std::string id = member_of(said.body, "charge_id");
    if (!id.empty()) return {kind::charged, std::move(id), {}};
    return {kind::unknown, {}, "an answer without charge_id"};
  }
  // A 4xx is the bank's own decision; 408, 409 and 429 only put it off, and 422 says that the key stands for a charge.
  const bool decided = said.status >= 400 && said.status < 500 && said.status != 408 && said.status != 409 &&
                       said.status != 422 && said.status != 429;
  return {decided ? kind::refused : kind::unknown, {}, fmt::format("status {}", said.status)};
}

}  // namespace

bank::bank(heddle::io::event_loop& loop, address at)
    : client_{loop, {.max_connections = 64, .connect_timeout = 1s}}, at_{std::move(at)} {}

heddle::task<charge_answer> bank::charge(std::string key, std::string order_id, money amount, std::string card) {
  http::request ask;
  ask.method = "POST";
  ask.target = "/charges";
  ask.headers.add("Content-Type", "application/json");
  ask.headers.add("Idempotency-Key", key);
  ask.body = fmt::format(R"({{"order_id":"{}","amount_cents":{},"card":{}}})", order_id, amount.cents, json_text(card));
  // Not sent again under the cover of this call: what has become of a charge is for the one to ask who has the key.
  auto said = co_await client_.send(at_.host, at_.port, std::move(ask),
                                    {.until = heddle::deadline::after(patience), .retry_stale = false});
  if (said) co_return read_charge(*said);
  const bool sent =
      said.error().kind != http::client_errc::connect_failed && said.error().kind != http::client_errc::bad_request;
  co_return charge_answer{sent ? kind::unknown : kind::not_sent, {}, said.error().text};
}

heddle::task<customer_answer> bank::customer(std::int64_t id) {
  http::request ask;
  ask.target = fmt::format("/customers/{}", id);
  auto said = co_await client_.send(at_.host, at_.port, std::move(ask), {.until = heddle::deadline::after(patience)});
  if (said && said->status == 404) co_return customer_answer{customer_answer::kind::unknown_customer, id, {}};
  if (!said || said->status != 200) co_return customer_answer{customer_answer::kind::unavailable, id, {}};
  co_return customer_answer{customer_answer::kind::found, id, member_of(said->body, "name")};
}

}  // namespace storefront
