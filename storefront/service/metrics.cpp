#include <storefront/service/metrics.hpp>

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

#include <chrono>
#include <map>
#include <utility>

namespace storefront {

namespace http = heddle::http;

// What is counted for one route.
struct metrics::route {
  prometheus::Family<prometheus::Counter>& family;
  std::string name;
  prometheus::Histogram& seconds;
  std::map<unsigned, prometheus::Counter*> by_status;

  prometheus::Counter& counter(unsigned status) {
    prometheus::Counter*& known = by_status[status];
    if (known == nullptr) known = &family.Add({{"route", name}, {"status", std::to_string(status)}});
    return *known;
  }
};

metrics::metrics()
    : requests_{prometheus::BuildCounter()
                    .Name("storefront_requests_total")
                    .Help("Requests answered, by route and status")
                    .Register(registry_)},
      seconds_{prometheus::BuildHistogram()
                   .Name("storefront_request_seconds")
                   .Help("Time from the beginning of the handler to its answer")
                   .Register(registry_)} {}

http::handler metrics::measured(std::string route_name, http::handler inner) {
  const prometheus::Histogram::BucketBoundaries bounds{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5};
  auto figures =
      std::make_shared<route>(route{requests_, route_name, seconds_.Add({{"route", route_name}}, bounds), {}});
  return [figures = std::move(figures), inner = std::move(inner)](http::call& call) {
    return measure(*figures, inner, call);
  };
}

heddle::task<http::response> metrics::measure(route& figures, const http::handler& inner, http::call& call) {
  const auto begun = std::chrono::steady_clock::now();
  http::response answer = co_await inner(call);
  figures.seconds.Observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  figures.counter(answer.status).Increment();
  co_return answer;
}

void metrics::counter(std::string name, std::string help, std::function<double()> now) {
  shown_.push_back({prometheus::MetricType::Counter, std::move(name), std::move(help), {}, {{{}, std::move(now)}}});
}

void metrics::gauge(std::string name, std::string help, std::function<double()> now) {
  shown_.push_back({prometheus::MetricType::Gauge, std::move(name), std::move(help), {}, {{{}, std::move(now)}}});
}

void metrics::counters(std::string name, std::string help, std::string label, std::vector<labelled> values) {
  shown_.push_back(
      {prometheus::MetricType::Counter, std::move(name), std::move(help), std::move(label), std::move(values)});
}

std::string metrics::text() const {
  std::vector<prometheus::MetricFamily> families = registry_.Collect();
  for (const shown& one : shown_) {
    prometheus::MetricFamily family{one.name, one.help, one.type, {}};
    for (const labelled& each : one.values) {
      prometheus::ClientMetric& metric = family.metric.emplace_back();
      if (!one.label.empty()) metric.label.push_back({one.label, each.value});
      (one.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) = each.now();
    }
    families.push_back(std::move(family));
  }
  return prometheus::TextSerializer{}.Serialize(families);
}

}  // namespace storefront
