#pragma once

#include <storefront/service/config.hpp>

#include <heddle/dist/lock_service.hpp>
#include <heddle/dist/sql.hpp>
#include <heddle/http/message.hpp>
#include <heddle/task/task.hpp>

#include <expected>
#include <string>
#include <string_view>

namespace storefront {

/// The lock `process_order_<id>`: whoever changes an order's state holds it from reading the order until the change is
/// durable, with whatever the bank has to say in between.
class order_locks {
 public:
  /// @param locks must outlive this.
  order_locks(heddle::dist::lock_service& locks, storefront::unsafe unsafe) noexcept : locks_{locks}, unsafe_{unsafe} {}

  /// Waits for the order's lock, for at most two seconds.
  /// @return the lease, or the problem to answer with
  [[nodiscard]] heddle::task<std::expected<heddle::dist::lease, heddle::http::response>> lock(std::string order_id);

 private:
  heddle::dist::lock_service& locks_;
  storefront::unsafe unsafe_;
};

/// To be called in the write job that a lease protects: refuses the job if a later lease has already written.
[[nodiscard]] heddle::dist::store_result<void> admit(heddle::dist::sql_transaction& transaction,
                                                     const heddle::dist::lease& held);

}  // namespace storefront
