#include <storefront/service/payments.hpp>

#include <storefront/base/json_body.hpp>
#include <storefront/service/orders.hpp>
#include <storefront/service/problems.hpp>

#include <heddle/task/sleep.hpp>
#include <heddle/task/task.hpp>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

#include <utility>
#include <variant>

namespace storefront {

namespace dist = heddle::dist;
namespace http = heddle::http;
using namespace std::chrono_literals;
using kind = charge_answer::kind;

namespace {

// A doubt is left to those who asked for the payment until it is so old.
constexpr auto patience_with_clients = 4s;
constexpr auto between_looks = 500ms;

http::response missing_key() {
  return typed_problem(400, "idempotency-key-missing", "Idempotency-Key is missing",
                       "a payment needs the header Idempotency-Key, 1 to 200 bytes");
}

http::response already_paid(std::string_view id) {
  return typed_problem(409, "already-paid", "The order is paid", fmt::format("order {} is paid already", id));
}

dist::recorded_answer record_of(const http::response& answer) {
  dist::recorded_answer record{static_cast<int>(answer.status), {}, answer.body};
  for (const auto [name, value] : answer.headers) record.headers.emplace_back(name, value);
  return record;
}

http::response replay_of(const dist::recorded_answer& record) {
  http::response answer;
  answer.status = static_cast<unsigned>(record.status);
  for (const auto& [name, value] : record.headers) answer.headers.add(name, value);
  answer.headers.set("Idempotency-Replayed", "true");
  answer.body = record.body;
  return answer;
}

// The answer when the key is not to be worked on.
http::response answer_without_work(const dist::begun& found) {
  if (const auto* done = std::get_if<dist::replay>(&found)) return replay_of(done->answer);
  if (std::holds_alternative<dist::mismatch>(found)) {
    return typed_problem(422, "idempotency-key-reused", "Idempotency-Key was used before",
                         "the key was used for another order or another card");
  }
  if (std::holds_alternative<dist::in_progress>(found)) {
    return passing_problem(409, "payment-in-progress", "The payment is in progress",
                           "a request with this Idempotency-Key is still being worked on");
  }
  return bank_unavailable();
}

}  // namespace

heddle::task<http::response> payments::pay(http::call& call) {
  const std::string key{call.request.headers.get("Idempotency-Key")};
  if (key.empty() || key.size() > 200) co_return missing_key();
  auto body = parse_object(call.request.body);
  if (!body) co_return std::move(body).error();
  auto card = text_member(*body, "card", 100);
  if (!card) co_return std::move(card).error();
  auto work = pay_by_key(std::string{call.value("id")}, key, *std::move(card));
  co_return (co_await heddle::as_outcome(std::move(work), &unstoppable_)).value();
}

heddle::task<http::response> payments::pay_by_key(std::string order_id, std::string client_key, std::string card) {
  std::optional<dist::attempt> work;
  if (unsafe_ != unsafe::no_idempotency) {
    auto begun = co_await keys_.begin({"", "pay", client_key}, fmt::format("{}\n{}", order_id, card));
    if (!begun) co_return store_failed(begun.error());
    auto* run = std::get_if<dist::run_attempt>(&*begun);
    if (run == nullptr) co_return answer_without_work(*begun);
    work = std::move(run->work);
  }
  const wish asked{std::move(order_id), std::move(client_key), std::move(card),
                   work ? work->derived_key("charge") : new_order_id(), work ? &*work : nullptr};
  verdict reached = co_await pay_order(asked);
  if (work && !reached.final) {
    // When this fails the attempt counts as dead after a while, and the next request goes on where it was.
    auto given_back = co_await keys_.fail_retryable(*std::move(work));
    if (!given_back) spdlog::error("payment: {}", given_back.error().text);
  }
  co_return std::move(reached.answer);
}

// Under the order's lock. A verdict that is final has been recorded for the key.
heddle::task<payments::verdict> payments::pay_order(const wish& asked) {
  const auto held = co_await locks_.lock(asked.order_id);
  if (!held) co_return verdict{held.error()};
  auto now = co_await store_.read([&](dist::sql_view& view) { return find_order_and_charge(view, asked.order_id); });
  if (!now) co_return verdict{store_failed(now.error())};

  // A charge of somebody else that is in doubt comes first: the order may be paid.
  bool was_in_doubt = now->charged && now->charged->in_doubt();
  const bool mine = now->charged && now->charged->client_key == asked.client_key;
  if (now->found && now->found->state == order_state::reserved && was_in_doubt && !mine) {
    switch (co_await settle(*now->found, *now->charged, *held)) {
      case kind::charged: now->found->state = order_state::paid; break;
      case kind::refused: was_in_doubt = false; break;
      default: co_return verdict{bank_unavailable()};
    }
  }
  if (now->found && now->found->state == order_state::reserved) {
    co_return co_await charge_and_commit(asked, *now->found, *held, was_in_doubt);
  }

  http::response answer;
  if (!now->found) {
    answer = unknown_order(asked.order_id);
  } else if (now->found->state == order_state::cancelled) {
    answer = typed_problem(409, "cancelled", "The order is cancelled", "a cancelled order cannot be paid");
  } else {
    answer = mine ? order_response(200, *now->found) : already_paid(asked.order_id);
  }
  if (asked.work != nullptr) {
    auto recorded = co_await keys_.complete(*asked.work, record_of(answer));
    if (!recorded) co_return verdict{store_failed(recorded.error())};
  }
  co_return verdict{std::move(answer), true};
}

heddle::task<payments::verdict> payments::charge_and_commit(const wish& asked, const order& owed,
                                                            const dist::lease& held, bool was_in_doubt) {
  const struct charge begun{asked.order_id, asked.client_key, asked.bank_key, asked.card, {}};
  auto noted = co_await store_.write([&](dist::sql_transaction& transaction) -> dist::store_result<void> {
    if (auto fine = admit(transaction, held); !fine) return fine;
    return begin_charge(transaction, begun);
  });
  if (!noted) co_return verdict{store_failed(noted.error())};

  const charge_answer said = co_await bank_.charge(begun.bank_key, owed.id, owed.amount, begun.card);
  if (said.what == kind::unknown || (said.what == kind::not_sent && was_in_doubt)) {
    spdlog::debug("charge of order {} in doubt: {}", owed.id, said.bank_says);
    doubt_about(owed.id);
    co_return verdict{bank_unavailable()};
  }

  http::response answer;
  if (said.what == kind::charged) {
    order paid = owed;
    paid.state = order_state::paid;
    answer = order_response(200, paid);
  } else if (said.what == kind::refused) {
    answer = typed_problem(402, "card-refused", "The bank refuses the card", "no money was taken");
  } else {
    answer = bank_unavailable();
  }
  const bool final = said.what != kind::not_sent;
  auto committed = co_await store_.write([&](dist::sql_transaction& transaction) -> dist::store_result<void> {
    if (auto fine = admit(transaction, held); !fine) return fine;
    auto changed = said.what == kind::charged ? finish_charge(transaction, owed, said.charge_id)
                                              : forget_charge(transaction, owed.id);
    if (!changed || !final || asked.work == nullptr) return changed;
    return keys_.complete_in(transaction, *asked.work, record_of(answer));
  });
  if (!committed) {
    doubt_about(owed.id);
    co_return verdict{store_failed(committed.error())};
  }
  if (said.what == kind::charged) ++paid_;
  co_return verdict{std::move(answer), final};
}

// Asks the bank again about a charge in doubt, with its own key and card, and writes down what it says.
heddle::task<kind> payments::settle(const order& owed, const struct charge& begun, const dist::lease& held) {
  const charge_answer said = co_await bank_.charge(begun.bank_key, owed.id, owed.amount, begun.card);
  if (said.what != kind::charged && said.what != kind::refused) co_return kind::unknown;
  auto committed = co_await store_.write([&](dist::sql_transaction& transaction) -> dist::store_result<void> {
    if (auto fine = admit(transaction, held); !fine) return fine;
    return said.what == kind::charged ? finish_charge(transaction, owed, said.charge_id)
                                      : forget_charge(transaction, owed.id);
  });
  if (!committed) {
    spdlog::error("settling the charge of order {}: {}", owed.id, committed.error().text);
    co_return kind::unknown;
  }
  if (said.what == kind::charged) ++paid_;
  co_return said.what;
}

heddle::task<void> payments::find_doubts() {
  auto ids = co_await store_.read([](dist::sql_view& view) { return orders_in_doubt(view); });
  if (!ids) {
    spdlog::error("charges in doubt: {}", ids.error().text);
    co_return;
  }
  if (!ids->empty()) spdlog::info("{} charges are in doubt; the bank will be asked", ids->size());
  // Nobody but this service can still be at work on them.
  for (std::string& id : *ids) doubts_.push_back({std::move(id), {}});
}

heddle::task<void> payments::settle_doubts() {
  for (;;) {
    co_await heddle::sleep_for(between_looks);
    const auto old = std::chrono::steady_clock::now() - patience_with_clients;
    for (std::size_t left = doubts_.size(); left > 0 && doubts_.front().since <= old; --left) {
      std::string id = std::move(doubts_.front().order_id);
      doubts_.pop_front();
      auto work = settle_order(std::move(id));
      (void)(co_await heddle::as_outcome(std::move(work), &unstoppable_));
    }
  }
}

heddle::task<void> payments::settle_order(std::string order_id) {
  const auto held = co_await locks_.lock(order_id);
  if (!held) {
    doubt_about(order_id);
    co_return;
  }
  auto now = co_await store_.read([&](dist::sql_view& view) { return find_order_and_charge(view, order_id); });
  const bool open =
      now && now->found && now->found->state == order_state::reserved && now->charged && now->charged->in_doubt();
  if (!open) co_return;
  if (co_await settle(*now->found, *now->charged, *held) == kind::unknown) doubt_about(order_id);
}

void payments::doubt_about(const std::string& order_id) {
  doubts_.push_back({order_id, std::chrono::steady_clock::now()});
}

}  // namespace storefront
