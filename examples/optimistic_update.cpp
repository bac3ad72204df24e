// Optimistic concurrency: everybody reads, changes and writes if the version is still the same; who is late tries again.

#include <heddle/dist/sqlite_store.hpp>
#include <heddle/dist/versioned.hpp>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>

#include <fmt/core.h>

#include <string>

#include "scratch.hpp"

namespace dist = heddle::dist;

int reserved = 0;

// [optimistic_update]
heddle::task<void> reserve_one(dist::versioned& products) {
  const auto result = co_await products.update(
      "product-3", [](const dist::versioned_record& stock) { return std::to_string(std::stoi(stock.value) - 1); });
  if (result) ++reserved;  // else the conflict says expected and actual version, and how often it was tried
}
// [/optimistic_update]

int main() {
  const scratch_folder folder;
  heddle::thread_pool pool{{.threads = 2, .name = "store"}};
  auto store = dist::sqlite_store::open({.path = folder.path("shop.db"), .schema = {}}, pool);
  if (!store) return fmt::print(stderr, "{}\n", store.error().text), 2;
  auto products = dist::versioned::open(**store);
  if (!products) return fmt::print(stderr, "{}\n", products.error().text), 2;

  if (!heddle::sync_wait((*products)->put("product-3", "100", 0))) return 2;
  heddle::sync_wait(heddle::with_scope([&](heddle::scope& customers) -> heddle::task<void> {
    for (int i = 0; i < 20; ++i) customers.spawn(reserve_one(**products));
    co_return;
  }));
  const auto left = heddle::sync_wait((*products)->read("product-3"));
  if (!left) return 2;
  fmt::print("optimistic update: 20 at once, {} reserved, {} conflicts tried again, stock {} of 100\n", reserved,
             (*products)->stats().conflicts, left->value);
  return left->value == std::to_string(100 - reserved) && reserved > 0 ? 0 : 1;
}
