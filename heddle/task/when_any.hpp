#pragma once

#include <heddle/base/fatal.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/when_all.hpp>

#include <atomic>
#include <cstddef>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace heddle {

/// Which of several tasks came first, and what it gave.
template <class T>
struct first_of {
  std::size_t index;
  T value;
};

namespace tasks {

/// Runs one of several; if it is the first to end, keeps its value and stops the others.
template <class T, class Keep>
task<void> compete(task<T> body, std::atomic<bool>& decided, scope& all, Keep keep) {
  outcome<T> ended = co_await as_outcome(std::move(body));
  if (ended.is_stopped()) co_await this_task::end_as_stopped();
  if (decided.exchange(true, std::memory_order_acq_rel)) co_return;
  all.stop();
  if constexpr (std::is_void_v<T>) {
    std::move(ended).value();
    keep(std::monostate{});
  } else {
    keep(std::move(ended).value());
  }
}

}  // namespace tasks

/// Runs tasks concurrently until the first has ended, with a value or an exception; the others are stopped and awaited.
/// Gives that value, at its task's place in the variant (std::monostate for a task<void>), or throws that exception.
///
/// What loses may come to its end all the same before the stop reaches it; then its value or exception is dropped. So let
/// what must not be lost be reserved in the race and taken after it. One that ends as stopped is out of the race; if all do,
/// the whole unwinds.
/// - The first one's value is given. [test: when_any.gives_the_first_value_and_says_whose_it_is]
/// - The losers are stopped and awaited. [test: when_any.the_losers_have_ended_when_it_returns]
/// - An exception wins, too. [test: when_any.the_first_exception_wins_like_a_value]
/// - One that ends as stopped does not win. [test: when_any.one_that_ends_as_stopped_is_out_of_the_race]
/// - A stop from outside reaches all. [test: when_any.a_stop_from_outside_reaches_all]
template <class... Ts>
  requires(sizeof...(Ts) > 0)
task<std::variant<tasks::value_or_unit<Ts>...>> when_any(task<Ts>... bodies) {
  using result = std::variant<tasks::value_or_unit<Ts>...>;
  std::optional<result> first;
  std::atomic<bool> decided{false};
  co_await with_scope([&](scope& s) -> task<void> {
    [&]<std::size_t... I>(std::index_sequence<I...>, auto all) {
      (s.spawn(tasks::compete(
           std::move(std::get<I>(all)), decided, s,
           [&first](auto&& value) { first.emplace(std::in_place_index<I>, std::forward<decltype(value)>(value)); })),
       ...);
    }(std::index_sequence_for<Ts...>{}, std::tie(bodies...));
    co_return;
  });
  if (!first) co_await this_task::end_as_stopped();
  co_return std::move(*first);
}

/// The same for any number of tasks of one type, of which there must be one at least.
/// - Any number of tasks. [test: when_any.takes_any_number_of_tasks]
template <class T>
task<first_of<tasks::value_or_unit<T>>> when_any(std::vector<task<T>> bodies) {
  if (bodies.empty()) fatal("when_any of no tasks would never end");
  std::optional<first_of<tasks::value_or_unit<T>>> first;
  std::atomic<bool> decided{false};
  co_await with_scope([&](scope& s) -> task<void> {
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      s.spawn(tasks::compete(std::move(bodies[i]), decided, s,
                             [&first, i](auto&& value) { first.emplace(i, std::forward<decltype(value)>(value)); }));
    }
    co_return;
  });
  if (!first) co_await this_task::end_as_stopped();
  co_return std::move(*first);
}

}  // namespace heddle
