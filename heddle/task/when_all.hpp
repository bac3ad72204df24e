#pragma once

#include <heddle/task/scope.hpp>

#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace heddle {

namespace tasks {

/// What stands in the result for a task<void>.
template <class T>
using value_or_unit = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// Keeps the value in `place`; one that ends as stopped stops all.
template <class T>
task<void> store(task<T> body, std::optional<value_or_unit<T>>& place, scope& all) {
  outcome<T> ended = co_await as_outcome(std::move(body));
  if (ended.is_stopped()) {
    all.stop();
    co_await this_task::end_as_stopped();
  }
  if constexpr (std::is_void_v<T>) {
    std::move(ended).value();
    place.emplace();
  } else {
    place.emplace(std::move(ended).value());
  }
}

}  // namespace tasks

/// Runs tasks concurrently and gives all their values, in order; std::monostate for a task<void>.
///
/// - All run concurrently, and the values come in the order of the tasks. [test: when_all.gives_the_values_in_order]
/// - The first failure stops the others, is rethrown when all have ended. [test: when_all.the_first_failure_stops_the_others]
/// - If one ends as stopped, the others are stopped and the whole unwinds. [test: when_all.a_stopped_child_unwinds_the_whole]
template <class... Ts>
task<std::tuple<tasks::value_or_unit<Ts>...>> when_all(task<Ts>... bodies) {
  std::tuple<std::optional<tasks::value_or_unit<Ts>>...> values;
  co_await with_scope([&](scope& s) -> task<void> {
    std::apply([&](auto&... place) { (s.spawn(tasks::store(std::move(bodies), place, s)), ...); }, values);
    co_return;
  });
  const bool complete = std::apply([](const auto&... place) { return (place.has_value() && ...); }, values);
  if (!complete) co_await this_task::end_as_stopped();
  co_return std::apply([](auto&... place) { return std::tuple{std::move(*place)...}; }, values);
}

/// The same for any number of tasks of one type.
/// - Any number of tasks. [test: when_all.takes_any_number_of_tasks]
template <class T>
task<std::vector<tasks::value_or_unit<T>>> when_all(std::vector<task<T>> bodies) {
  std::vector<std::optional<tasks::value_or_unit<T>>> places(bodies.size());
  co_await with_scope([&](scope& s) -> task<void> {
    for (std::size_t i = 0; i < bodies.size(); ++i) s.spawn(tasks::store(std::move(bodies[i]), places[i], s));
    co_return;
  });
  std::vector<tasks::value_or_unit<T>> values;
  values.reserve(places.size());
  for (auto& place : places) {
    if (!place) co_await this_task::end_as_stopped();
    values.push_back(std::move(*place));
  }
  co_return values;
}

}  // namespace heddle
