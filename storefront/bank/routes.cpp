#include <storefront/bank/routes.hpp>

#include <storefront/base/json_body.hpp>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

#include <array>
#include <charconv>
#include <string_view>
#include <utility>

namespace storefront::gateway {

namespace http = heddle::http;

namespace {

constexpr std::int64_t customers = 100'000;
constexpr std::int64_t most_cents = 1'000'000'000'000;

http::response json_response(unsigned status, std::string body) {
  return http::text_response(status, "application/json", std::move(body));
}

heddle::task<http::response> charge(ledger& book, const http::call& call) {
  const std::string_view key = call.request.headers.get("Idempotency-Key");
  if (key.empty() || key.size() > 200) {
    co_return http::problem(400, "Idempotency-Key is missing", "a charge needs the header, 1 to 200 bytes");
  }
  const auto body = parse_object(call.request.body);
  if (!body) co_return body.error();
  auto order_id = text_member(*body, "order_id", 100);
  if (!order_id) co_return std::move(order_id).error();
  const auto cents = integer_member(*body, "amount_cents", 1, most_cents);
  if (!cents) co_return cents.error();
  auto card = text_member(*body, "card", 100);
  if (!card) co_return std::move(card).error();
  if (card->starts_with("declined")) co_return http::problem(402, "Card declined", "the card's bank declines");

  charge_request asked{std::string{key}, *std::move(order_id), money{*cents}, *std::move(card)};
  const std::string order = json_text(asked.order_id);
  const auto result = co_await book.charge(std::move(asked));
  if (!result) {
    spdlog::error("charge: {}", result.error().text);
    co_return http::problem(503, {}, "the ledger cannot be written");
  }
  if (result->what == charge_result::kind::mismatch) {
    co_return http::problem(422, "Idempotency-Key was used before", "the key stands for another charge");
  }
  co_return json_response(result->what == charge_result::kind::made ? 201 : 200,
                          fmt::format(R"({{"charge_id":{},"order_id":{},"amount_cents":{}}})",
                                      json_text(result->charge_id), order, *cents));
}

std::string name_of(std::int64_t id) {
  constexpr std::array<std::string_view, 8> first{"Ada",   "Barbara", "Edsger", "Frances",
                                                  "Grace", "Leslie",  "Tony",   "Yuri"};
  constexpr std::array<std::string_view, 5> last{"Weaver", "Spinner", "Dyer", "Fuller", "Carder"};
  const auto n = static_cast<std::size_t>(id);
  return fmt::format("{} {}", first[n % first.size()], last[n / first.size() % last.size()]);
}

heddle::task<http::response> show_customer(const http::call& call) {
  const std::string_view text = call.value("id");
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc{} || end != text.data() + text.size() || id < 1 || id > customers) {
    co_return http::problem(404, "Unknown customer", fmt::format("there are customers 1 to {}", customers));
  }
  co_return json_response(200, fmt::format(R"({{"id":{},"name":{}}})", id, json_text(name_of(id))));
}

heddle::task<http::response> show_stats(const ledger& book) {
  const auto stats = book.stats();
  co_return json_response(200, fmt::format(R"({{"charges_asked":{},"commits":{},"largest_group":{}}})", stats.writes,
                                           stats.commits, stats.largest_group));
}

heddle::task<http::response> show_health() { co_return json_response(200, R"({"status":"ok"})"); }

}  // namespace

http::router routes(ledger& book) {
  http::router table;
  table.add("POST", "/charges", [&book](http::call& call) { return charge(book, call); });
  table.add("GET", "/customers/{id}", [](http::call& call) { return show_customer(call); });
  table.add("GET", "/stats", [&book](http::call&) { return show_stats(book); });
  table.add("GET", "/healthz", [](http::call&) { return show_health(); });
  return table;
}

}  // namespace storefront::gateway
