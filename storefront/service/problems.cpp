#include <storefront/service/problems.hpp>

#include <storefront/base/json_body.hpp>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace storefront {

namespace http = heddle::http;

http::response typed_problem(unsigned status, std::string_view name, std::string_view title, std::string_view detail) {
  return http::text_response(status, "application/problem+json",
                             fmt::format(R"({{"type":"/problems/{}","title":{},"status":{},"detail":{}}})", name,
                                         json_text(title), status, json_text(detail)));
}

http::response passing_problem(unsigned status, std::string_view name, std::string_view title,
                               std::string_view detail) {
  http::response answer = typed_problem(status, name, title, detail);
  answer.headers.set("Retry-After", "1");
  return answer;
}

http::response unknown_order(std::string_view id) {
  return typed_problem(404, "unknown-order", "Unknown order", fmt::format("there is no order {}", id));
}

http::response bank_unavailable() {
  return passing_problem(503, "bank-unavailable", "The bank does not answer",
                         "the order can still be paid: ask again with the same Idempotency-Key");
}

http::response order_busy(std::string_view id) {
  return passing_problem(503, "order-busy", "The order is busy",
                         fmt::format("others have been working on order {} for too long", id));
}

http::response store_failed(const heddle::dist::store_error& error) {
  using heddle::dist::store_errc;
  spdlog::error("store: {} ({})", error.text, to_string(error.code));
  switch (error.code) {
    case store_errc::busy:
    case store_errc::closed:
    case store_errc::full:
    case store_errc::rolled_back:
    case store_errc::stale_attempt:
    case store_errc::stale_fence:
      return passing_problem(503, "store-unavailable", "The store is not available", "nothing was done; ask again");
    default: return http::problem(500, "The store failed");
  }
}

}  // namespace storefront
