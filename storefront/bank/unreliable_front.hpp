#pragma once

#include <storefront/base/address.hpp>

#include <heddle/io/event_loop.hpp>
#include <heddle/io/io_error.hpp>
#include <heddle/io/tcp_listener.hpp>
#include <heddle/io/tcp_stream.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/task.hpp>

#include <chrono>
#include <cstdint>
#include <expected>
#include <random>

namespace storefront::gateway {

/// How often and how the bank misbehaves.
struct fault_options {
  double percent = 0;                    ///< of the calls, spread evenly over the four kinds
  std::chrono::milliseconds delay{400};  ///< the longest of the injected delays
  std::chrono::milliseconds clean{0};    ///< after the first call, it behaves for so long
  std::uint64_t seed = 1;
};

/// How often it has.
struct fault_counts {
  std::uint64_t calls = 0;
  std::uint64_t delayed = 0;  ///< answered, but late
  std::uint64_t refused = 0;  ///< answered 503, and the bank never saw the call
  std::uint64_t reset = 0;    ///< the connection was reset, and the bank never saw the call
  std::uint64_t lost = 0;     ///< the bank has done what was asked, and the answer was lost with the connection
};

/// Stands between the bank and its callers and passes bytes on, except where a fault is due. It takes what arrives at once
/// for one call, which is true of callers that send small requests and do not pipeline.
///
/// Thread-safety: on the loop's thread.
class unreliable_front {
 public:
  unreliable_front(heddle::io::event_loop& loop, fault_options how);

  /// Listens. @param port 0 for any free one.
  [[nodiscard]] std::expected<void, heddle::io::io_error> listen(const address& at);
  [[nodiscard]] std::uint16_t port() const noexcept { return listener_.port(); }

  /// Passes calls on to `bank` until the task is stopped.
  [[nodiscard]] heddle::task<void> run(address bank);

  [[nodiscard]] const fault_counts& counts() const noexcept { return counts_; }

 private:
  enum class fault : std::uint8_t { none, delay, refuse, reset, lose };

  [[nodiscard]] fault draw();
  heddle::task<void> serve(heddle::io::tcp_stream caller, const address& bank);
  heddle::task<void> pass_calls(heddle::io::tcp_stream& caller, heddle::io::tcp_stream& bank);

  heddle::io::event_loop& loop_;
  fault_options how_;
  std::mt19937_64 random_;
  std::chrono::steady_clock::time_point first_call_;
  fault_counts counts_;
  heddle::io::tcp_listener listener_;
};

}  // namespace storefront::gateway
