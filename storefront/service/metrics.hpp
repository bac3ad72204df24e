#pragma once

#include <heddle/http/router.hpp>

#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace storefront {

/// The figures of the service, in Prometheus' text format: those that are counted here, by route, and those that other
/// parts count and are asked for when somebody looks.
///
/// Thread-safety: on the loop's thread.
class metrics {
 public:
  metrics();

  /// The same handler, with its requests counted by status and its time measured, under the label `route`.
  [[nodiscard]] heddle::http::handler measured(std::string route, heddle::http::handler inner);

  /// A figure that only grows, or one that goes up and down, read by `now` whenever it is shown.
  void counter(std::string name, std::string help, std::function<double()> now);
  void gauge(std::string name, std::string help, std::function<double()> now);

  /// Figures of one name that only grow, one for each value of a label.
  struct labelled {
    std::string value;
    std::function<double()> now;
  };
  void counters(std::string name, std::string help, std::string label, std::vector<labelled> values);

  /// All figures as text.
  [[nodiscard]] std::string text() const;

 private:
  struct route;
  struct shown {
    prometheus::MetricType type;
    std::string name;
    std::string help;
    std::string label;  // empty: one value without a label
    std::vector<labelled> values;
  };
  static heddle::task<heddle::http::response> measure(route& figures, const heddle::http::handler& inner,
                                                      heddle::http::call& call);

  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Histogram>& seconds_;
  std::vector<shown> shown_;
};

}  // namespace storefront
