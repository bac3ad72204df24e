#pragma once

#include <storefront/service/bank.hpp>
#include <storefront/service/catalog.hpp>
#include <storefront/service/config.hpp>
#include <storefront/service/customers.hpp>
#include <storefront/service/metrics.hpp>
#include <storefront/service/order_lock.hpp>
#include <storefront/service/orders.hpp>
#include <storefront/service/payments.hpp>
#include <storefront/service/receipts.hpp>
#include <storefront/service/stock.hpp>

#include <heddle/dist/idempotency_store.hpp>
#include <heddle/dist/lock_service.hpp>
#include <heddle/dist/sqlite_store.hpp>
#include <heddle/dist/versioned.hpp>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/http/router.hpp>
#include <heddle/io/event_loop.hpp>

#include <memory>

namespace storefront {

/// The whole service but for the server: everything that the handlers use, wired together.
///
/// Its threads: the loop, which runs every handler; `blocking`, where the calls of SQLite are; one that signs receipts.
class shop {
 public:
  /// Opens the stores and reads the products. Blocks.
  /// @param loop must outlive this.
  /// @throws startup_error with one sentence when a store cannot be used
  shop(heddle::io::event_loop& loop, const config& settings);

  /// The routes of the service; refer to this.
  [[nodiscard]] heddle::http::router routes();

  /// The server adds its figures here.
  [[nodiscard]] metrics& figures() noexcept { return metrics_; }
  [[nodiscard]] storefront::payments& payments() noexcept { return payments_; }

  /// From now on /healthz says that the service is about to end.
  void drain() noexcept { draining_ = true; }

 private:
  void show_figures();
  [[nodiscard]] heddle::task<heddle::http::response> health(heddle::http::call& call) const;
  [[nodiscard]] heddle::task<heddle::http::response> list_products(heddle::http::call& call);
  [[nodiscard]] heddle::task<heddle::http::response> show_metrics(heddle::http::call& call) const;
  [[nodiscard]] heddle::task<heddle::http::response> show_waits(heddle::http::call& call) const;
  [[nodiscard]] heddle::task<heddle::http::response> show_page(heddle::http::call& call) const;

  heddle::thread_pool blocking_;
  heddle::thread_pool signers_;
  std::unique_ptr<heddle::dist::sqlite_store> store_;
  std::unique_ptr<heddle::dist::versioned> stock_records_;
  std::unique_ptr<heddle::dist::idempotency_store> keys_;
  std::unique_ptr<heddle::dist::lock_service> lock_service_;
  receipt_key receipt_key_;
  catalog products_;
  bank bank_;
  stock stock_;
  order_locks order_locks_;
  orders orders_;
  storefront::payments payments_;
  receipts receipts_;
  customers customers_;
  metrics metrics_;
  bool draining_ = false;
};

}  // namespace storefront
