#pragma once

#include <storefront/base/address.hpp>

#include <heddle/http/client.hpp>
#include <heddle/task/task.hpp>

#include <string>
#include <string_view>

namespace storefront::load {

/// What the service itself has counted, in Prometheus' text format.
class service_figures {
 public:
  service_figures() = default;
  explicit service_figures(std::string text) : text_{std::move(text)} {}

  /// The sample called `name`, without labels; 0 when there is none.
  [[nodiscard]] double value(std::string_view name) const;
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

 private:
  std::string text_;
};

/// Asks for the figures; empty when there was no answer.
[[nodiscard]] heddle::task<service_figures> read_figures(heddle::http::client& client, address target);

}  // namespace storefront::load
