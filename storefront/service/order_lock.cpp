#include <storefront/service/order_lock.hpp>

#include <storefront/service/problems.hpp>

#include <heddle/dist/fence_guard.hpp>

#include <spdlog/spdlog.h>

namespace storefront {

namespace dist = heddle::dist;
using namespace std::chrono_literals;

heddle::task<std::expected<dist::lease, heddle::http::response>> order_locks::lock(std::string order_id) {
  dist::lease held;
  if (unsafe_ != unsafe::no_lock) {
    auto got = co_await locks_.lock("process_order_" + order_id, {.until = heddle::deadline::after(2s)});
    if (!got) {
      if (got.error() != dist::lock_error::timeout) spdlog::error("lock of an order: {}", to_string(got.error()));
      co_return std::unexpected{order_busy(order_id)};
    }
    held = *std::move(got);
  }
  co_return held;
}

dist::store_result<void> admit(dist::sql_transaction& transaction, const dist::lease& held) {
  if (!held) return {};
  return dist::admit_fenced(transaction, held.name(), held.token(), held.owner());
}

}  // namespace storefront
