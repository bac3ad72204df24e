#include <storefront/service/shop.hpp>

#include <storefront/base/startup_error.hpp>
#include <storefront/service/page.hpp>
#include <storefront/service/problems.hpp>
#include <storefront/service/schema.hpp>

#include <heddle/dist/fence_guard.hpp>
#include <heddle/inspect/waits_json.hpp>

#include <fmt/format.h>

#include <utility>

namespace storefront {

namespace dist = heddle::dist;
namespace http = heddle::http;
using namespace std::chrono_literals;

namespace {

// The store has one connection that writes and these that read: three at a time in all.
constexpr std::size_t read_connections = 2;

template <class T>
T opened(dist::store_result<T> result) {
  if (!result) throw startup_error{result.error().text};
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

std::unique_ptr<dist::sqlite_store> open_store(const config& settings, heddle::executor& blocking) {
  std::error_code failed;
  std::filesystem::create_directories(settings.store, failed);
  if (failed) {
    throw startup_error{fmt::format("cannot make the folder {}: {}", settings.store.string(), failed.message())};
  }
  auto store = opened(dist::sqlite_store::open(
      {.path = (settings.store / "store.db").string(), .schema = schema(), .readers = read_connections}, blocking));
  opened(dist::prepare_fences(*store));
  return store;
}

std::unique_ptr<dist::versioned> open_stock(dist::sqlite_store& store, const config& settings) {
  auto records = opened(dist::versioned::open(store, {.collection = "stock"}));
  opened(seed(store, *records, settings.products, settings.stock));
  return records;
}

std::string locks_url(const config& settings) {
  return "sqlite://" + std::filesystem::absolute(settings.store / "locks.db").string();
}

receipt_key open_key(const config& settings) {
  auto key = receipt_key::load_or_make(settings.store / "receipts.pem");
  if (!key) throw startup_error{key.error()};
  return *std::move(key);
}

}  // namespace

shop::shop(heddle::io::event_loop& loop, const config& settings)
    : blocking_{{.threads = 4, .name = "blocking"}},
      signers_{{.threads = 1, .name = "signer"}},
      store_{open_store(settings, blocking_)},
      stock_records_{open_stock(*store_, settings)},
      keys_{opened(dist::idempotency_store::open(*store_))},
      lock_service_{opened(dist::lock_service::open(locks_url(settings), blocking_, {.require = dist::fence::strict}))},
      receipt_key_{open_key(settings)},
      products_{opened(read_products(*store_))},
      bank_{loop, settings.bank},
      stock_{*store_, *stock_records_, products_, settings.unsafe},
      order_locks_{*lock_service_, settings.unsafe},
      orders_{*store_, products_, stock_, order_locks_},
      payments_{*store_, *keys_, order_locks_, bank_, settings.unsafe},
      receipts_{*store_, products_, receipt_key_, signers_},
      customers_{bank_} {
  show_figures();
}

http::router shop::routes() {
  http::router table;
  // What must be answered under overload, too.
  const http::route_options always{.shed = false};
  auto add = [&](const char* method, const char* pattern, http::handler answer, http::route_options options = {}) {
    table.add(method, pattern, metrics_.measured(fmt::format("{} {}", method, pattern), std::move(answer)), options);
  };
  add("GET", "/healthz", [this](http::call& call) { return health(call); }, always);
  add("GET", "/metrics", [this](http::call& call) { return show_metrics(call); }, always);
  add("GET", "/debug/waits", [this](http::call& call) { return show_waits(call); }, always);
  add("GET", "/", [this](http::call& call) { return show_page(call); }, always);
  add("GET", "/products", [this](http::call& call) { return list_products(call); });
  add("GET", "/customers", [this](http::call& call) { return customers_.list(call); });
  add("POST", "/orders", [this](http::call& call) { return orders_.create(call); });
  add("GET", "/orders/{id}", [this](http::call& call) { return orders_.show(call); });
  add("POST", "/orders/{id}/pay", [this](http::call& call) { return payments_.pay(call); });
  add("POST", "/orders/{id}/cancel", [this](http::call& call) { return orders_.cancel(call); });
  add("GET", "/orders/{id}/receipt", [this](http::call& call) { return receipts_.show(call); });
  return table;
}

heddle::task<http::response> shop::health(http::call&) const {
  if (draining_) co_return passing_problem(503, "draining", "The service is about to end", "ask another one");
  co_return http::text_response(200, "application/json", R"({"status":"ok"})");
}

heddle::task<http::response> shop::list_products(http::call&) {
  co_return http::text_response(200, "application/json", products_.json());
}

heddle::task<http::response> shop::show_metrics(http::call&) const {
  co_return http::text_response(200, "text/plain; version=0.0.4; charset=utf-8", metrics_.text());
}

heddle::task<http::response> shop::show_waits(http::call&) const {
  co_return http::text_response(200, "application/json",
                                heddle::inspect::waits_json(heddle::watch::waits(), heddle::watch::recent_reports()));
}

heddle::task<http::response> shop::show_page(http::call&) const {
  co_return http::text_response(200, "text/html; charset=utf-8", std::string{page()});
}

void shop::show_figures() {
  auto number = [](auto n) { return static_cast<double>(n); };
  std::vector<metrics::labelled> problems;
  problems.reserve(heddle::watch::problems);
  for (std::size_t kind = 0; kind < heddle::watch::problems; ++kind) {
    problems.push_back({std::string{to_string(static_cast<heddle::watch::problem>(kind))},
                        [=] { return number(heddle::watch::report_counts().at(kind)); }});
  }
  metrics_.counters("heddle_problems_total", "Problems of concurrency that heddle has reported in this process", "kind",
                    std::move(problems));
  metrics_.counter("storefront_version_conflicts_total", "Writes refused because the stock had been written meanwhile",
                   [=, this] { return number(stock_records_->stats().conflicts); });
  metrics_.counter("storefront_lock_waits_contended_total",
                   "Order locks that somebody else held when they were asked for",
                   [=, this] { return number(lock_service_->stats().waited); });
  metrics_.counter("storefront_idempotent_replays_total", "Payments answered with the bytes of the first time",
                   [=, this] { return number(keys_->stats().replays); });
  metrics_.counter("storefront_orders_paid_total", "Orders that were paid since the start",
                   [=, this] { return number(payments_.paid()); });
  metrics_.gauge("storefront_charges_in_doubt", "Charges of which nobody knows whether the bank took the money",
                 [=, this] { return number(payments_.in_doubt()); });
  metrics_.counter("storefront_store_writes_total", "Write jobs whose effect is durable",
                   [=, this] { return number(store_->stats().writes); });
  metrics_.counter("storefront_store_commits_total", "Commits, each of a group of write jobs",
                   [=, this] { return number(store_->stats().commits); });
  metrics_.gauge("storefront_store_largest_group", "The most write jobs in one commit",
                 [=, this] { return number(store_->stats().largest_group); });
  metrics_.counter("storefront_store_reads_total", "Read jobs", [=, this] { return number(store_->stats().reads); });
  metrics_.gauge("storefront_store_most_reads", "The most reads that ever ran at once",
                 [=, this] { return number(store_->stats().most_reads); });
  metrics_.gauge("storefront_pool_queue_wait_seconds",
                 "How long work has lately waited for a thread for SQLite's calls",
                 [=, this] { return std::chrono::duration<double>(blocking_.stats().recent_wait).count(); });
}

}  // namespace storefront
