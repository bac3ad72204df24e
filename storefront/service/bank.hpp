#pragma once

#include <storefront/base/address.hpp>
#include <storefront/base/money.hpp>

#include <heddle/http/client.hpp>
#include <heddle/io/event_loop.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace storefront {

/// How asking the bank for a charge ended.
struct charge_answer {
  enum class kind : std::uint8_t {
    charged,   ///< the money was taken, now or when the same key was first used
    refused,   ///< it was certainly not taken, and asking again would not help
    not_sent,  ///< the bank was not reached, so this call has not taken it
    unknown,   ///< it may have been taken: ask again with the same key
  };
  kind what = kind::unknown;
  std::string charge_id;  ///< the bank's receipt, if charged
  std::string bank_says;  ///< why not, for the log
};

/// One customer as the bank's directory knows them.
struct customer_answer {
  enum class kind : std::uint8_t { found, unknown_customer, unavailable };
  kind what = kind::unavailable;
  std::int64_t id = 0;
  std::string name;
};

/// The payment gateway and customer directory, over HTTP. Tries once; whoever asks decides whether to ask again.
///
/// Thread-safety: on the loop's thread.
class bank {
 public:
  bank(heddle::io::event_loop& loop, address at);

  /// Takes money from a card; within two seconds.
  /// @param key the bank takes the money once for each key
  [[nodiscard]] heddle::task<charge_answer> charge(std::string key, std::string order_id, money amount,
                                                   std::string card);

  /// Asks the directory. Waits as long as the task's context allows, at most two seconds.
  [[nodiscard]] heddle::task<customer_answer> customer(std::int64_t id);

  [[nodiscard]] heddle::http::client_stats stats() const noexcept { return client_.stats(); }

 private:
  heddle::http::client client_;
  address at_;
};

}  // namespace storefront
