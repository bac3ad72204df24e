#pragma once

#include <storefront/service/bank.hpp>
#include <storefront/service/charge.hpp>
#include <storefront/service/order_lock.hpp>

#include <heddle/dist/idempotency_store.hpp>
#include <heddle/dist/sqlite_store.hpp>
#include <heddle/http/router.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

namespace storefront {

/// Answers POST /orders/{id}/pay: takes the money once, whatever happens on the way.
///
/// A payment is asked for by its Idempotency-Key. Under the order's lock it reads the order, writes down that it is
/// about to charge and by which key, asks the bank with that key, and then makes the order paid, the journal's entry and
/// the key's answer durable in one commit. Each step can be the last one before a crash:
/// - before the charge is written down, nothing has happened;
/// - afterwards the charge is in doubt until somebody has asked the bank again with the same bank key: the client who
///   repeats the request, another one who wants to pay the same order, or settle_doubts();
/// - after the commit the key's answer is replayed.
///
/// Thread-safety: on the loop's thread.
class payments {
 public:
  /// All must outlive this.
  payments(heddle::dist::sqlite_store& store, heddle::dist::idempotency_store& keys, order_locks& locks, bank& gateway,
           storefront::unsafe unsafe) noexcept
      : store_{store}, keys_{keys}, locks_{locks}, bank_{gateway}, unsafe_{unsafe} {}

  /// `Idempotency-Key: …` and `{"card":"…"}`. 200 with the order, paid. 400 without a key; 422 when the key was used with
  /// other content; 409 while a request with this key runs, or when the order is paid or cancelled; 402 when the bank
  /// refuses the card; 503 when the bank does not answer: then the order stays payable. What is final is answered again
  /// byte for byte, with `Idempotency-Replayed: true`.
  ///
  /// Once begun it is not stopped by the end of its request, so that its key is answered or given back.
  [[nodiscard]] heddle::task<heddle::http::response> pay(heddle::http::call& call);

  /// Finds the charges that a former run of the service has left in doubt.
  [[nodiscard]] heddle::task<void> find_doubts();

  /// Asks the bank about charges that have been in doubt for some seconds, until it is stopped.
  [[nodiscard]] heddle::task<void> settle_doubts();

  /// Orders that were paid since the start.
  [[nodiscard]] std::uint64_t paid() const noexcept { return paid_; }

  /// Charges in doubt that wait for settle_doubts().
  [[nodiscard]] std::size_t in_doubt() const noexcept { return doubts_.size(); }

 private:
  // What a client is answered, and whether that is its key's answer for good.
  struct verdict {
    heddle::http::response answer;
    bool final = false;
  };
  // What is asked for.
  struct wish {
    std::string order_id;
    std::string client_key;
    std::string card;
    std::string bank_key;
    const heddle::dist::attempt* work;  // null when keys are not asked
  };
  struct doubt {
    std::string order_id;
    std::chrono::steady_clock::time_point since;
  };

  [[nodiscard]] heddle::task<heddle::http::response> pay_by_key(std::string order_id, std::string client_key,
                                                                std::string card);
  [[nodiscard]] heddle::task<verdict> pay_order(const wish& asked);
  [[nodiscard]] heddle::task<verdict> charge_and_commit(const wish& asked, const order& owed,
                                                        const heddle::dist::lease& held, bool was_in_doubt);
  [[nodiscard]] heddle::task<charge_answer::kind> settle(const order& owed, const struct charge& begun,
                                                         const heddle::dist::lease& held);
  [[nodiscard]] heddle::task<void> settle_order(std::string order_id);
  void doubt_about(const std::string& order_id);

  heddle::dist::sqlite_store& store_;
  heddle::dist::idempotency_store& keys_;
  order_locks& locks_;
  bank& bank_;
  storefront::unsafe unsafe_;
  const heddle::task_context unstoppable_{};
  std::deque<doubt> doubts_;
  std::uint64_t paid_ = 0;
};

}  // namespace storefront
