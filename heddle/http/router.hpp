#pragma once

#include <heddle/http/message.hpp>
#include <heddle/http/target.hpp>
#include <heddle/task/task.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace heddle::http {

/// One request on its way through a handler. The server keeps it until the handler's task has ended, so the handler
/// may refer to it across suspensions, and may move out of it what it wants to keep.
struct call {
  http::request request;
  http::target target;
  /// What the pattern's `{names}` stood for, decoded, in the pattern's order.
  std::vector<std::pair<std::string_view, std::string>> values;

  /// The value of `{name}`; empty if the pattern has no such name.
  [[nodiscard]] std::string_view value(std::string_view name) const noexcept;
};

/// Answers one request. Called on the server's loop; the task runs there, and is stopped when the server gives the
/// request up. An exception becomes a 500. The callable lives as long as the router, so it may capture.
using handler = std::move_only_function<task<response>(call&) const>;

/// How the server treats a route.
struct route_options {
  /// False for what must be answered under overload, too (health checks, metrics): it is neither counted nor shed.
  bool shed = true;
};

/// Finds the handler for a method and a path.
///
/// A pattern is a path whose segments are literal or `{name}`, which stands for any one segment that is not empty:
/// `/orders/{id}/pay`. Of several patterns that fit, the one whose first differing segment is literal wins, whatever
/// the order of addition. Segments are compared decoded and with case.
///
/// - Method and path decide. [test: router.finds_by_method_and_path]
/// - Literal segments win over names. [test: router.literal_segments_win_over_names_in_any_order_of_addition]
/// - Values are decoded and never empty. [test: router.values_are_decoded_and_never_empty]
/// - A path that is known by other methods says which. [test: router.a_known_path_says_which_methods_it_has]
/// - A malformed pattern, or one that is there already, ends the program.
///   [test: router_misuse.malformed_and_repeated_patterns_are_fatal]
///
/// Thread-safety: fill it, then hand it to a server; matching is const.   Cost: linear in the number of routes.
class router {
 public:
  /// One pattern and what answers there.
  struct route {
    std::string method;
    std::vector<std::string> segments;  // `{name}` as written
    http::handler handler;
    route_options options;
  };

  /// What was found.
  struct found {
    const route* match = nullptr;  ///< null: nothing fits path and method
    std::string allow;             ///< with no match: the methods that the path has, `GET, HEAD, POST`; empty: none
    std::vector<std::pair<std::string_view, std::string>> values;
  };

  /// Adds a route. A pattern that does not begin with `/`, has a malformed `{name}`, or is there already with that
  /// method ends the program.
  void add(std::string_view method, std::string_view pattern, http::handler handler, route_options options = {});

  /// Finds the route. HEAD finds GET's where it has none of its own.
  [[nodiscard]] found find(std::string_view method, const http::target& target) const;

 private:
  std::vector<route> routes_;
};

}  // namespace heddle::http
