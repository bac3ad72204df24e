#include <storefront/service/customers.hpp>

#include <storefront/base/json_body.hpp>
#include <storefront/service/problems.hpp>

#include <heddle/task/when_all.hpp>
#include <heddle/task/with_timeout.hpp>

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>
#include <vector>

namespace storefront {

namespace http = heddle::http;
using namespace std::chrono_literals;

namespace {

constexpr auto patience = 1s;

std::optional<std::vector<std::int64_t>> parse_ids(std::string_view text) {
  std::vector<std::int64_t> ids;
  for (;;) {
    const std::size_t comma = text.find(',');
    const std::string_view one = text.substr(0, comma);
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(one.data(), one.data() + one.size(), id);
    if (error != std::errc{} || end != one.data() + one.size() || id < 1) return std::nullopt;
    ids.push_back(id);
    if (comma == std::string_view::npos) return ids;
    if (ids.size() == customers::most) return std::nullopt;
    text.remove_prefix(comma + 1);
  }
}

http::response late() {
  return passing_problem(504, "directory-late", "The directory is late", "not all customers came in time");
}

}  // namespace

heddle::task<http::response> customers::list(http::call& call) {
  const auto ids = parse_ids(call.target.parameter("ids").value_or(""));
  if (!ids) {
    co_return http::problem(400, "Malformed ids", fmt::format("ids must be 1 to {} positive numbers: ids=1,2,3", most));
  }
  std::vector<heddle::task<customer_answer>> questions;
  questions.reserve(ids->size());
  for (const std::int64_t id : *ids) questions.push_back(bank_.customer(id));
  const auto until = heddle::deadline::after(patience);
  auto answers = co_await heddle::with_timeout(heddle::when_all(std::move(questions)), until);
  if (!answers) co_return late();

  std::string found;
  std::string unknown;
  for (const customer_answer& one : *answers) {
    switch (one.what) {
      case customer_answer::kind::found:
        found += fmt::format(R"({}{{"id":{},"name":{}}})", found.empty() ? "" : ",", one.id, json_text(one.name));
        break;
      case customer_answer::kind::unknown_customer:
        unknown += fmt::format("{}{}", unknown.empty() ? "" : ",", one.id);
        break;
      case customer_answer::kind::unavailable:
        if (until.has_passed()) co_return late();  // the question ended at the deadline that it has inherited
        co_return passing_problem(503, "directory-unavailable", "The directory does not answer", "ask again");
    }
  }
  co_return http::text_response(200, "application/json",
                                fmt::format(R"({{"customers":[{}],"unknown":[{}]}})", found, unknown));
}

}  // namespace storefront
