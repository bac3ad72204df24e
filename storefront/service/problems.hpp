#pragma once

#include <heddle/dist/store_error.hpp>
#include <heddle/http/message.hpp>

#include <chrono>
#include <string_view>

namespace storefront {

/// What the service answers when it does not do what was asked: `application/problem+json`. A problem that a client can
/// act on has a `type` of its own, `/problems/<name>`; those that may be tried again have `Retry-After`.
/// @param name the last part of the type
[[nodiscard]] heddle::http::response typed_problem(unsigned status, std::string_view name, std::string_view title,
                                                   std::string_view detail);

/// The same with `Retry-After: 1`.
[[nodiscard]] heddle::http::response passing_problem(unsigned status, std::string_view name, std::string_view title,
                                                     std::string_view detail);

[[nodiscard]] heddle::http::response unknown_order(std::string_view id);
[[nodiscard]] heddle::http::response bank_unavailable();

/// The order's lock was not to be had in time.
[[nodiscard]] heddle::http::response order_busy(std::string_view id);

/// The store failed: 503 if it may be better later, else 500. What it says goes to the log, not to the client.
[[nodiscard]] heddle::http::response store_failed(const heddle::dist::store_error& error);

}  // namespace storefront
