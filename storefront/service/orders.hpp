#pragma once

#include <storefront/service/catalog.hpp>
#include <storefront/service/order_lock.hpp>
#include <storefront/service/stock.hpp>

#include <heddle/dist/sqlite_store.hpp>
#include <heddle/http/router.hpp>

namespace storefront {

/// Answers for orders, but for their payment: makes, shows and cancels them.
///
/// Thread-safety: on the loop's thread.
class orders {
 public:
  static constexpr std::int64_t most_pieces = 1'000;  ///< of one order

  /// All must outlive this.
  orders(heddle::dist::sqlite_store& store, const catalog& products, stock& levels, order_locks& locks) noexcept
      : store_{store}, products_{products}, levels_{levels}, locks_{locks} {}

  /// POST /orders `{"customer_id":7,"product_id":3,"quantity":2}`: reserves the pieces. 201 with the order and its
  /// Location; 409 when there are not enough pieces, or when others were quicker again and again.
  [[nodiscard]] heddle::task<heddle::http::response> create(heddle::http::call& call);

  /// GET /orders/{id}: the order.
  [[nodiscard]] heddle::task<heddle::http::response> show(heddle::http::call& call);

  /// POST /orders/{id}/cancel: gives the pieces back. 200 with the order, also when it is cancelled already; 409 when it
  /// is paid, or may be: while nobody knows whether the bank has taken the money, the order stays as it is.
  [[nodiscard]] heddle::task<heddle::http::response> cancel(heddle::http::call& call);

 private:
  heddle::dist::sqlite_store& store_;
  const catalog& products_;
  stock& levels_;
  order_locks& locks_;
};

/// An order as the answer to a request.
[[nodiscard]] heddle::http::response order_response(unsigned status, const struct order& shown);

}  // namespace storefront
