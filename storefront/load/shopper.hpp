#pragma once

#include <storefront/load/config.hpp>
#include <storefront/load/tally.hpp>
#include <storefront/load/verify.hpp>

#include <heddle/base/deadline.hpp>
#include <heddle/http/client.hpp>
#include <heddle/io/event_loop.hpp>
#include <heddle/task/scope.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace storefront::load {

/// What all clients share. Used on one loop, so without locks.
struct marketplace {
  marketplace(heddle::io::event_loop& loop_in, const config& settings_in);

  heddle::io::event_loop& loop;
  const config& settings;
  heddle::http::client client;
  std::chrono::steady_clock::time_point begin;  ///< of the load
  std::chrono::steady_clock::time_point end;    ///< nobody comes any more
  tally counted;
  std::vector<std::string> reserved;  ///< orders that nobody has begun to pay or cancel
  acknowledged told;                  ///< what the service has said it has done
  std::uint64_t keys = 0;             ///< Idempotency-Keys given out
};

/// One client. It comes at times that were fixed beforehand, whatever became of what it asked before: the time of a
/// request counts from when it was to begin, so a service that stalls cannot hide it.
///
/// One client in ten is impatient: it drops each payment's answer, and then asks again with the same key. Payments are
/// now and then sent twice at once, with the same key or with different ones, or together with a cancellation; and
/// after they were answered, once more.
class shopper {
 public:
  /// @param number from 0; decides seed, phase and character.
  shopper(marketplace& market, heddle::scope& background, std::size_t number);

  /// Comes until the load's end. What takes longer than a visit (asking again later) goes on in the background scope.
  [[nodiscard]] heddle::task<void> visit_until_the_end();

 private:
  using time_point = std::chrono::steady_clock::time_point;

  heddle::task<void> visit(time_point intended);
  heddle::task<void> create_order(time_point intended);
  heddle::task<void> pay_somehow(time_point intended);
  heddle::task<void> look(endpoint which, std::string target, time_point intended);

  [[nodiscard]] std::string next_key();
  [[nodiscard]] double chance() { return std::uniform_real_distribution{0.0, 1.0}(random_); }
  [[nodiscard]] std::int64_t number_up_to(std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>{1, most}(random_);
  }
  [[nodiscard]] std::optional<std::string> some(const std::vector<std::string>& orders);
  [[nodiscard]] std::optional<std::string> take_reserved();

  marketplace& market_;
  heddle::scope& background_;
  std::size_t number_;
  std::mt19937_64 random_;
};

}  // namespace storefront::load
