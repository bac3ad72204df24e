#include <storefront/load/tally.hpp>

namespace storefront::load {

std::string_view to_string(endpoint which) noexcept {
  switch (which) {
    case endpoint::list_products: return "GET /products";
    case endpoint::show_order: return "GET /orders/{id}";
    case endpoint::show_customers: return "GET /customers";
    case endpoint::show_receipt: return "GET /orders/{id}/receipt";
    case endpoint::create_order: return "POST /orders";
    case endpoint::pay_order: return "POST /orders/{id}/pay";
    case endpoint::cancel_order: return "POST /orders/{id}/cancel";
  }
  return "?";
}

std::uint64_t tally::requests() const noexcept {
  std::uint64_t sum = 0;
  for (const endpoint_tally& one : by_endpoint) sum += one.requests;
  return sum;
}

std::uint64_t tally::ok() const noexcept {
  std::uint64_t sum = 0;
  for (const endpoint_tally& one : by_endpoint) sum += one.ok;
  return sum;
}

std::uint64_t tally::injected() const noexcept {
  std::uint64_t sum = 0;
  for (const endpoint_tally& one : by_endpoint) sum += one.injected;
  return sum;
}

}  // namespace storefront::load
