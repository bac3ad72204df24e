#pragma once

#include <storefront/base/money.hpp>

#include <heddle/dist/sqlite_store.hpp>
#include <heddle/park/executor.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace storefront::gateway {

/// What a charge is asked with.
struct charge_request {
  std::string key;  ///< the caller's Idempotency-Key
  std::string order_id;
  money amount;
  std::string card;
};

/// What the ledger says to it.
struct charge_result {
  enum class kind : std::uint8_t {
    made,      ///< the charge is in the ledger now
    repeated,  ///< it was there already, under the same key and with the same content
    mismatch,  ///< the key is there with other content
  };
  kind what = kind::made;
  std::string charge_id;
};

/// The bank's charges, one for each key, in table `charges` of an SQLite file: durable before they are answered.
///
/// Thread-safety: all members from any thread.
class ledger {
 public:
  /// Opens or makes the file. @throws startup_error with one sentence.
  ledger(const std::filesystem::path& file, heddle::executor& blocking);

  /// Charges once for each key.
  [[nodiscard]] heddle::task<heddle::dist::store_result<charge_result>> charge(charge_request asked);

  [[nodiscard]] heddle::dist::store_stats stats() const noexcept { return store_->stats(); }

 private:
  std::unique_ptr<heddle::dist::sqlite_store> store_;
};

}  // namespace storefront::gateway
