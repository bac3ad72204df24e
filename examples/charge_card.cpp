// An idempotency key: the same charge is asked for five times at once and again later; the card is charged once.

#include <heddle/dist/idempotency_store.hpp>
#include <heddle/dist/sqlite_store.hpp>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>

#include <fmt/core.h>

#include <string>
#include <variant>

#include "scratch.hpp"

namespace dist = heddle::dist;

int charges = 0;
int replays = 0;
int told_to_wait = 0;

// [charge_card]
heddle::task<std::string> charge_card(dist::idempotency_store& store, std::string key) {
  auto begun = co_await store.begin({"shop", "charge", std::move(key)}, "card 4242, 10.00");
  if (!begun) co_return begun.error().text;
  if (auto* done = std::get_if<dist::replay>(&*begun)) {
    ++replays;
    co_return done->answer.body;  // the same bytes again
  }
  if (auto* run = std::get_if<dist::run_attempt>(&*begun)) {
    ++charges;  // the bank is asked here, with run->work.derived_key("charge")
    (void)co_await store.complete(run->work, {.status = 201, .headers = {}, .body = "charged 10.00"});
    co_return "charged 10.00";
  }
  ++told_to_wait;  // another attempt runs: 409 with Retry-After
  co_return "try again";
}
// [/charge_card]

heddle::task<void> discard(heddle::task<std::string> answer) { (void)co_await std::move(answer); }

int main() {
  const scratch_folder folder;
  heddle::thread_pool pool{{.threads = 2, .name = "store"}};
  auto store = dist::sqlite_store::open({.path = folder.path("shop.db"), .schema = {}}, pool);
  if (!store) return fmt::print(stderr, "{}\n", store.error().text), 2;
  auto keys = dist::idempotency_store::open(**store);
  if (!keys) return fmt::print(stderr, "{}\n", keys.error().text), 2;

  heddle::sync_wait(heddle::with_scope([&](heddle::scope& clients) -> heddle::task<void> {
    for (int i = 0; i < 5; ++i) clients.spawn(discard(charge_card(**keys, "key-1")));
    co_return;
  }));
  const std::string again = heddle::sync_wait(charge_card(**keys, "key-1"));
  fmt::print("idempotency: 6 requests with one key, {} charge, {} replayed, {} told to try again; the last got '{}'\n",
             charges, replays, told_to_wait, again);
  return charges == 1 && again == "charged 10.00" ? 0 : 1;
}
