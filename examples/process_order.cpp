// A lock across processes: one process_order at a time, proved by a fencing token that the resource checks.

#include <heddle/dist/fence_guard.hpp>
#include <heddle/dist/lock_service.hpp>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sleep.hpp>
#include <heddle/task/sync_wait.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "scratch.hpp"

using namespace std::chrono_literals;

int inside = 0;
int most = 0;
int processed = 0;
std::int64_t last_token = 0;

// [process_order]
heddle::task<void> process_order(heddle::dist::lock_service& locks, int id) {
  auto lease = co_await locks.lock("process_order_" + std::to_string(id), {.ttl = 5s});
  if (!lease) co_return;  // lease.error() says why
  most = std::max(most, ++inside);
  co_await heddle::sleep_for(1ms);  // the work, which hands lease->token() to whatever it writes
  last_token = lease->token();
  ++processed;
  --inside;
  (void)co_await lease->release();
}
// [/process_order]

int main() {
  const scratch_folder folder;
  heddle::thread_pool pool{{.threads = 2, .name = "locks"}};
  auto locks = heddle::dist::lock_service::open("sqlite://" + folder.path("locks.db"), pool,
                                                {.require = heddle::dist::fence::strict});
  if (!locks) return fmt::print(stderr, "{}\n", locks.error().text), 2;
  heddle::sync_wait(heddle::with_scope([&](heddle::scope& orders) -> heddle::task<void> {
    for (int i = 0; i < 20; ++i) orders.spawn(process_order(**locks, 17));
    co_return;
  }));
  fmt::print("lock: {} attempts on order 17, at most {} inside at once, last fencing token {}\n", processed, most,
             last_token);
  return processed == 20 && most == 1 && last_token >= 20 ? 0 : 1;
}
