#pragma once

#include <storefront/bank/ledger.hpp>

#include <heddle/http/router.hpp>

namespace storefront::gateway {

/// What the bank answers:
/// - `POST /charges` with Idempotency-Key and `{"order_id":…,"amount_cents":…,"card":…}`: 201 with the charge; the same key
///   again 200 with the same charge; the same key with other content 422. Cards that begin with "declined" get 402.
/// - `GET /customers/{id}`: `{"id":…,"name":…}`; there are customers 1 to 100,000.
/// - `GET /healthz`, `GET /stats`.
/// @param book must outlive the routes.
[[nodiscard]] heddle::http::router routes(ledger& book);

}  // namespace storefront::gateway
