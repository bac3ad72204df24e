#include <storefront/load/shopper.hpp>

#include <heddle/sync/backoff.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace storefront::load {

namespace http = heddle::http;
using namespace std::chrono_literals;
using time_point = std::chrono::steady_clock::time_point;

namespace {

constexpr auto patience = 10s;  // with one request

// How often one payment or cancellation is asked for. What a killed service was at work on is let alone for half a minute.
unsigned most_asks(const marketplace& market) { return market.settings.expect_crashes ? 200 : 40; }

std::chrono::steady_clock::time_point now() { return std::chrono::steady_clock::now(); }

// The text after `"name":"`, up to the quote. Enough for the service's own answers.
std::string_view text_member(std::string_view json, std::string_view name) {
  const std::string begin = fmt::format("\"{}\":\"", name);
  const std::size_t at = json.find(begin);
  if (at == std::string_view::npos) return {};
  json.remove_prefix(at + begin.size());
  return json.substr(0, json.find('"'));
}

std::string_view problem_name(const http::response& answer) {
  std::string_view type = text_member(answer.body, "type");
  type.remove_prefix(std::min(type.size(), type.rfind('/') + 1));
  return type;
}

/// What became of one request.
struct reply {
  std::optional<http::response> answer;  // none: there was none
  http::client_errc why{};               // in that case
};

heddle::task<reply> ask(marketplace& market, http::request message, std::chrono::nanoseconds within = patience) {
  auto came = co_await market.client.send(market.settings.target.host, market.settings.target.port, std::move(message),
                                          {.until = heddle::deadline::after(within), .retry_stale = true});
  if (came) co_return reply{*std::move(came), {}};
  co_return reply{std::nullopt, came.error().kind};
}

// Counts one request that began, or was to begin, at `intended`.
void count(marketplace& market, endpoint which, time_point intended, ending how, std::string kind) {
  endpoint_tally& counted = market.counted.of(which);
  ++counted.requests;
  (intended - market.begin < market.settings.clean ? counted.clean : counted.faulty).add(now() - intended);
  if (how == ending::ok) ++counted.ok;
  if (how == ending::injected) ++counted.injected;
  if (kind.empty()) return;
  ++(how == ending::failed ? counted.errors : counted.kinds)[std::move(kind)];
}

// Whether a request may go without an answer because the storefront is being killed. One that waits in vain may not.
bool lost_in_a_crash(const marketplace& market, const reply& came) {
  return market.settings.expect_crashes && came.why != http::client_errc::timeout;
}

void count_unanswered(marketplace& market, endpoint which, time_point intended, const reply& came) {
  const std::string why{to_string(came.why)};
  if (lost_in_a_crash(market, came)) {
    count(market, which, intended, ending::injected, "no answer: " + why);
    return;
  }
  ++market.counted.unanswered;
  count(market, which, intended, ending::failed, "no answer: " + why);
}

std::string kind_of(const http::response& answer) {
  const std::string_view name = problem_name(answer);
  return name.empty() ? std::to_string(answer.status) : fmt::format("{} {}", answer.status, name);
}

// The pause that the service asked for, or a short one; jittered, so that those who were sent away do not come back
// together.
std::chrono::nanoseconds pause_after(const http::response& answer, heddle::backoff& pauses) {
  const auto own = pauses.next().value_or(500ms);
  return answer.headers.get("Retry-After").empty() ? own : std::max<std::chrono::nanoseconds>(own, 200ms);
}

http::request pay_request(const std::string& order, const std::string& key) {
  http::request message;
  message.method = "POST";
  message.target = fmt::format("/orders/{}/pay", order);
  message.headers.add("Content-Type", "application/json");
  message.headers.add("Idempotency-Key", key);
  message.body = R"({"card":"card-4242"})";
  return message;
}

// Asks for a payment until it has a final answer, each time with the same key. Gives that answer's body.
heddle::task<std::string> pay_until_answered(marketplace& market, std::string order, std::string key,
                                             time_point intended) {
  heddle::backoff pauses{{.first = 20ms, .most = 1s, .attempts = 0}};
  for (unsigned asked = 0; asked < most_asks(market); ++asked) {
    const reply came = co_await ask(market, pay_request(order, key));
    if (!came.answer) {
      count_unanswered(market, endpoint::pay_order, intended, came);
      if (!lost_in_a_crash(market, came)) co_return "";
      co_await market.loop.sleep_for(pauses.next().value_or(500ms));
      intended = now();
      continue;
    }
    const http::response& answer = *came.answer;
    const std::string_view name = problem_name(answer);
    if (answer.status == 200) {
      count(market, endpoint::pay_order, intended, ending::ok, {});
      if (answer.headers.get("Idempotency-Replayed").empty()) {
        ++market.counted.changes;
        ++market.counted.paid;
        market.told.paid.push_back(order);
      }
      co_return answer.body;
    }
    const bool final = answer.status == 409 && (name == "already-paid" || name == "cancelled");
    const bool waits = answer.status == 409 && name == "payment-in-progress";
    const bool fault = answer.status == 503 && (name == "bank-unavailable" || market.settings.expect_crashes);
    const ending how = final || waits ? ending::ok : fault ? ending::injected : ending::failed;
    count(market, endpoint::pay_order, intended, how, kind_of(answer));
    if (final || (!waits && answer.status != 503)) co_return "";
    co_await market.loop.sleep_for(pause_after(answer, pauses));
    intended = now();
  }
  count(market, endpoint::pay_order, now(), ending::failed, "never answered for good");
  co_return "";
}

heddle::task<void> pay(marketplace& market, std::string order, std::string key, time_point intended, bool impatient,
                       bool once_more) {
  if (impatient) {  // goes away before the answer can have come
    const reply dropped = co_await ask(market, pay_request(order, key), 500us);
    if (dropped.answer) {
      count(market, endpoint::pay_order, intended, ending::ok, "answered before it was dropped");
    } else {
      count(market, endpoint::pay_order, intended, ending::injected, "dropped by the client");
    }
    intended = now();
  }
  const std::string first = co_await pay_until_answered(market, order, key, intended);
  if (first.empty() || !once_more) co_return;
  const time_point again = now();
  const reply replayed = co_await ask(market, pay_request(order, key));
  if (!replayed.answer) {
    count_unanswered(market, endpoint::pay_order, again, replayed);
    co_return;
  }
  if (replayed.answer->status == 503) {  // sent away unseen, so nothing was replayed
    const bool fault = market.settings.expect_crashes;
    count(market, endpoint::pay_order, again, fault ? ending::injected : ending::failed, kind_of(*replayed.answer));
    co_return;
  }
  const bool same = replayed.answer->status == 200 && replayed.answer->body == first;
  ++(same ? market.counted.replays : market.counted.bad_replays);
  count(market, endpoint::pay_order, again, same ? ending::ok : ending::failed, same ? "" : "another answer on replay");
}

heddle::task<void> cancel(marketplace& market, std::string order, time_point intended) {
  heddle::backoff pauses{{.first = 20ms, .most = 1s, .attempts = 0}};
  for (unsigned asked = 0; asked < most_asks(market); ++asked) {
    http::request message;
    message.method = "POST";
    message.target = fmt::format("/orders/{}/cancel", order);
    const reply came = co_await ask(market, std::move(message));
    if (!came.answer) {
      count_unanswered(market, endpoint::cancel_order, intended, came);
      co_return;
    }
    const http::response& answer = *came.answer;
    const std::string_view name = problem_name(answer);
    const bool doubt = (answer.status == 409 && name == "payment-in-doubt") ||
                       (answer.status == 503 && market.settings.expect_crashes);
    const bool crowded = answer.status == 409 && name == "version-conflict";
    const bool final = answer.status == 200 || (answer.status == 409 && name == "already-paid");
    count(market, endpoint::cancel_order, intended,
          final || crowded ? ending::ok
          : doubt          ? ending::injected
                           : ending::failed,
          answer.status == 200 ? "" : kind_of(answer));
    if (answer.status == 200) {
      ++market.counted.changes;
      market.told.cancelled.push_back(order);
    }
    if (!doubt && !crowded) co_return;
    co_await market.loop.sleep_for(pause_after(answer, pauses));
    intended = now();
  }
}

}  // namespace

marketplace::marketplace(heddle::io::event_loop& loop_in, const config& settings_in)
    : loop{loop_in},
      settings{settings_in},
      client{loop_in, {.max_connections = static_cast<std::uint32_t>(settings_in.clients) * 2}} {}

shopper::shopper(marketplace& market, heddle::scope& background, std::size_t number)
    : market_{market}, background_{background}, number_{number}, random_{market.settings.seed * 1'000'003 + number} {}

std::string shopper::next_key() { return fmt::format("key-{}-{}", market_.settings.seed, ++market_.keys); }

std::optional<std::string> shopper::some(const std::vector<std::string>& orders) {
  if (orders.empty()) return std::nullopt;
  return orders[static_cast<std::size_t>(number_up_to(static_cast<std::int64_t>(orders.size())) - 1)];
}

std::optional<std::string> shopper::take_reserved() {
  auto& orders = market_.reserved;
  if (orders.empty()) return std::nullopt;
  const auto at = static_cast<std::size_t>(number_up_to(static_cast<std::int64_t>(orders.size())) - 1);
  std::swap(orders[at], orders.back());
  std::string taken = std::move(orders.back());
  orders.pop_back();
  return taken;
}

heddle::task<void> shopper::visit_until_the_end() {
  const config& settings = market_.settings;
  const std::chrono::duration<double> between{static_cast<double>(settings.clients) / settings.rate};
  const auto step = std::chrono::duration_cast<std::chrono::nanoseconds>(between);
  time_point intended = market_.begin + std::chrono::duration_cast<std::chrono::nanoseconds>(between * chance());
  for (; intended < market_.end; intended += step) {
    if (now() < intended) co_await market_.loop.sleep_until(intended);
    co_await visit(intended);
  }
}

heddle::task<void> shopper::visit(time_point intended) {
  const double dice = chance();
  if (dice < 0.20) return create_order(intended);
  if (dice < 0.34) return pay_somehow(intended);
  if (dice < 0.37) {
    if (auto order = take_reserved()) return cancel(market_, *std::move(order), intended);
    return create_order(intended);
  }
  if (dice < 0.45) return look(endpoint::list_products, "/products", intended);
  if (dice < 0.49) {
    const std::int64_t id = number_up_to(market_.settings.customers);
    return look(endpoint::show_customers, fmt::format("/customers?ids={},{},{}", id, id + 1, id + 2), intended);
  }
  if (dice < 0.52) {
    if (const auto order = some(market_.told.paid)) {
      return look(endpoint::show_receipt, fmt::format("/orders/{}/receipt", *order), intended);
    }
  }
  if (const auto order = some(market_.told.made)) {
    return look(endpoint::show_order, fmt::format("/orders/{}", *order), intended);
  }
  return create_order(intended);
}

heddle::task<void> shopper::create_order(time_point intended) {
  // Half of all want one of three products, so that they come into each other's way.
  const std::int64_t product = chance() < 0.5 ? number_up_to(3) : number_up_to(100);
  http::request message;
  message.method = "POST";
  message.target = "/orders";
  message.headers.add("Content-Type", "application/json");
  message.body = fmt::format(R"({{"customer_id":{},"product_id":{},"quantity":{}}})",
                             number_up_to(market_.settings.customers), product, number_up_to(3));
  const reply came = co_await ask(market_, std::move(message));
  if (!came.answer) {
    count_unanswered(market_, endpoint::create_order, intended, came);
    co_return;
  }
  const http::response& answer = *came.answer;
  const bool made = answer.status == 201;
  const bool sold_out = answer.status == 409 && problem_name(answer) == "out-of-stock";
  count(market_, endpoint::create_order, intended, made || sold_out ? ending::ok : ending::failed,
        made ? "" : kind_of(answer));
  if (!made) co_return;
  ++market_.counted.changes;
  std::string id{text_member(answer.body, "id")};
  market_.told.made.push_back(id);
  market_.reserved.push_back(std::move(id));
}

heddle::task<void> shopper::pay_somehow(time_point intended) {
  auto order = take_reserved();
  if (!order) {
    co_await create_order(intended);
    co_return;
  }
  const bool impatient = number_ % 10 == 0;
  const double dice = chance();
  std::string key = next_key();
  if (dice < 0.08) {  // twice at once, each with a key of its own: one of them pays
    background_.spawn(pay(market_, *order, next_key(), intended, false, false), "second payment");
  } else if (dice < 0.14) {  // twice at once with the same key
    background_.spawn(pay(market_, *order, key, intended, false, false), "same payment");
  } else if (dice < 0.18) {  // while somebody cancels
    background_.spawn(cancel(market_, *order, intended), "cancellation");
  }
  const bool once_more = chance() < 0.25;
  background_.spawn(pay(market_, *std::move(order), std::move(key), intended, impatient, once_more), "payment");
}

heddle::task<void> shopper::look(endpoint which, std::string target, time_point intended) {
  http::request message;
  message.target = std::move(target);
  const reply came = co_await ask(market_, std::move(message));
  if (!came.answer) {
    count_unanswered(market_, which, intended, came);
    co_return;
  }
  const http::response& answer = *came.answer;
  // The directory is the bank's, too.
  const std::string_view name = problem_name(answer);
  const bool injected =
      which == endpoint::show_customers && (name == "directory-unavailable" || name == "directory-late");
  count(market_, which, intended,
        answer.status == 200 ? ending::ok
        : injected           ? ending::injected
                             : ending::failed,
        answer.status == 200 ? "" : kind_of(answer));
}

}  // namespace storefront::load
