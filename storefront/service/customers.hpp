#pragma once

#include <storefront/service/bank.hpp>

#include <heddle/http/router.hpp>

namespace storefront {

/// Answers GET /customers?ids=1,2,3 from the bank's directory: all are asked for at once, with one deadline for all.
///
/// Thread-safety: on the loop's thread.
class customers {
 public:
  static constexpr std::size_t most = 50;  ///< customers in one request

  /// `directory` must outlive this.
  explicit customers(bank& directory) noexcept : bank_{directory} {}

  /// 200 `{"customers":[{"id":1,"name":"…"}],"unknown":[7]}`, in the order of the ids; 400 when they are no such list;
  /// 504 when they were not all there in time; 503 when the directory does not answer.
  [[nodiscard]] heddle::task<heddle::http::response> list(heddle::http::call& call);

 private:
  bank& bank_;
};

}  // namespace storefront
