#pragma once

#include <storefront/service/catalog.hpp>
#include <storefront/service/receipt_key.hpp>

#include <heddle/dist/sqlite_store.hpp>
#include <heddle/exec/thread_pool.hpp>
#include <heddle/http/router.hpp>

namespace storefront {

/// Answers GET /orders/{id}/receipt: what was bought and paid, signed. The signature is made on a thread pool, because a
/// millisecond of arithmetic on the loop would be a millisecond for everybody.
///
/// Thread-safety: on the loop's thread.
class receipts {
 public:
  /// All must outlive this.
  receipts(heddle::dist::sqlite_store& store, const catalog& products, const receipt_key& key,
           heddle::thread_pool& signers) noexcept
      : store_{store}, products_{products}, key_{key}, signers_{signers} {}

  /// 200 `{"receipt":"…","signature":"…","algorithm":"RSA-SHA256","public_key":"…"}`: the signature, in base64, is over the
  /// bytes of the text `receipt`, and is the same each time. 409 while the order is not paid.
  [[nodiscard]] heddle::task<heddle::http::response> show(heddle::http::call& call);

 private:
  heddle::dist::sqlite_store& store_;
  const catalog& products_;
  const receipt_key& key_;
  heddle::thread_pool& signers_;
};

}  // namespace storefront
