#include <storefront/service/receipts.hpp>

#include <storefront/base/json_body.hpp>
#include <storefront/service/charge.hpp>
#include <storefront/service/problems.hpp>

#include <fmt/format.h>

namespace storefront {

namespace dist = heddle::dist;
namespace http = heddle::http;

heddle::task<http::response> receipts::show(http::call& call) {
  const std::string_view id = call.value("id");
  auto now = co_await store_.read([&](dist::sql_view& view) { return find_order_and_charge(view, id); });
  if (!now) co_return store_failed(now.error());
  if (!now->found) co_return unknown_order(id);
  const order& paid = *now->found;
  if (paid.state != order_state::paid || !now->charged) {
    co_return typed_problem(409, "not-paid", "The order is not paid", "there is a receipt for paid orders only");
  }
  const product* bought = products_.find(paid.product_id);
  const std::string text =
      fmt::format("order {}\ncustomer {}\nproduct {} {}\nquantity {}\namount {}.{:02}\ncharge {}\n", paid.id,
                  paid.customer_id, paid.product_id, bought != nullptr ? bought->name : "", paid.quantity,
                  paid.amount.cents / 100, paid.amount.cents % 100, now->charged->charge_id);
  const std::string signature = co_await signers_.run([&] { return key_.sign(text); });
  co_return http::text_response(
      200, "application/json",
      fmt::format(R"({{"receipt":{},"signature":"{}","algorithm":"RSA-SHA256","public_key":{}}})", json_text(text),
                  signature, json_text(key_.public_pem())));
}

}  // namespace storefront
