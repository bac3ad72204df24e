#include <storefront/service/orders.hpp>

#include <storefront/base/json_body.hpp>
#include <storefront/service/charge.hpp>
#include <storefront/service/problems.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace storefront {

namespace dist = heddle::dist;
namespace http = heddle::http;

namespace {

// What is answered when the stock could not be changed.
http::response stock_problem(stock_change ended, std::int64_t product_id) {
  if (ended == stock_change::not_enough) {
    return typed_problem(409, "out-of-stock", "Out of stock",
                         fmt::format("there are not enough pieces of product {}", product_id));
  }
  return passing_problem(409, "version-conflict", "Too many at once",
                         fmt::format("others were quicker to change product {}; ask again", product_id));
}

}  // namespace

http::response order_response(unsigned status, const order& shown) {
  return http::text_response(status, "application/json", shown.json());
}

heddle::task<http::response> orders::create(http::call& call) {
  auto body = parse_object(call.request.body);
  if (!body) co_return std::move(body).error();
  auto customer = integer_member(*body, "customer_id", 1, INT64_MAX);
  if (!customer) co_return std::move(customer).error();
  auto product_id = integer_member(*body, "product_id", INT64_MIN, INT64_MAX);
  if (!product_id) co_return std::move(product_id).error();
  auto quantity = integer_member(*body, "quantity", 1, most_pieces);
  if (!quantity) co_return std::move(quantity).error();
  const product* wanted = products_.find(*product_id);
  if (wanted == nullptr) {
    co_return typed_problem(404, "unknown-product", "Unknown product",
                            fmt::format("there is no product {}", *product_id));
  }

  const order made{new_order_id(),        *customer, *product_id, *quantity, wanted->price * *quantity,
                   order_state::reserved, 1};
  auto ended = co_await levels_.change(
      *product_id, -*quantity, [&](dist::sql_transaction& transaction) { return insert_order(transaction, made); });
  if (!ended) co_return store_failed(ended.error());
  if (*ended != stock_change::done) co_return stock_problem(*ended, *product_id);
  http::response answer = order_response(201, made);
  answer.headers.set("Location", "/orders/" + made.id);
  co_return answer;
}

heddle::task<http::response> orders::show(http::call& call) {
  const std::string_view id = call.value("id");
  auto found = co_await store_.read([&](dist::sql_view& view) { return find_order(view, id); });
  if (!found) co_return store_failed(found.error());
  if (!*found) co_return unknown_order(id);
  co_return order_response(200, **found);
}

heddle::task<http::response> orders::cancel(http::call& call) {
  const std::string id{call.value("id")};
  const auto held = co_await locks_.lock(id);
  if (!held) co_return held.error();
  auto now = co_await store_.read([&](dist::sql_view& view) { return find_order_and_charge(view, id); });
  if (!now) co_return store_failed(now.error());
  if (!now->found) co_return unknown_order(id);
  order& cancelled = *now->found;
  if (cancelled.state == order_state::cancelled) co_return order_response(200, cancelled);
  if (cancelled.state == order_state::paid) {
    co_return typed_problem(409, "already-paid", "The order is paid", "a paid order cannot be cancelled");
  }
  if (now->charged && now->charged->in_doubt()) {
    co_return passing_problem(409, "payment-in-doubt", "The order may be paid",
                              "the bank has not yet said whether the order is paid; ask again");
  }

  auto ended = co_await levels_.change(cancelled.product_id, cancelled.quantity,
                                       [&](dist::sql_transaction& transaction) -> dist::store_result<void> {
                                         if (auto fine = admit(transaction, *held); !fine) return fine;
                                         return move_order(transaction, cancelled, order_state::cancelled);
                                       });
  if (!ended) co_return store_failed(ended.error());
  if (*ended != stock_change::done) co_return stock_problem(*ended, cancelled.product_id);
  cancelled.state = order_state::cancelled;
  co_return order_response(200, cancelled);
}

}  // namespace storefront
