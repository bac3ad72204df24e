// async and await: tasks that run together and end together, a race, a stream of values, and where a task is right now.

#include <heddle/task/generator.hpp>
#include <heddle/task/invoke.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/shield.hpp>
#include <heddle/task/sleep.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/task_local.hpp>
#include <heddle/task/trace.hpp>
#include <heddle/task/when_all.hpp>
#include <heddle/task/when_any.hpp>
#include <heddle/task/with_timeout.hpp>

#include <fmt/core.h>

#include <chrono>
#include <stop_token>
#include <string>

using namespace std::chrono_literals;

// [together]
heddle::task<int> price_of(std::string item) {
  co_await heddle::sleep_for(1ms);
  co_return static_cast<int>(item.size());
}

heddle::task<int> sum_of_both() {
  const auto [tea, coffee] = co_await heddle::when_all(price_of("tea"), price_of("coffee"));
  co_return tea + coffee;
}
// [/together]

// [race]
heddle::task<int> from_far_away() {
  co_await heddle::sleep_for(1h);
  co_return 1;
}

heddle::task<bool> nearest_wins() {
  const auto first = co_await heddle::when_any(from_far_away(), price_of("tea"));
  co_return first.index() == 1;  // the other one has been stopped, and has ended
}
// [/race]

// [scope]
heddle::task<int> visit_all() {
  int visited = 0;
  co_await heddle::with_scope([&](heddle::scope& children) -> heddle::task<void> {
    for (int i = 1; i <= 3; ++i) {
      children.spawn(heddle::invoke([&visited, i]() -> heddle::task<void> {
        co_await heddle::sleep_for(1ms);
        visited += i;
      }));
    }
    co_return;
  });
  co_return visited;  // here all children have ended
}
// [/scope]

// [shield]
heddle::task<void> give_back(int& lent) {
  co_await heddle::sleep_for(1ms);  // as over a network
  --lent;
}

heddle::task<void> borrow(int& lent) {
  ++lent;
  co_await heddle::shield(give_back(lent));  // a stop or a deadline comes through afterwards
}
// [/shield]

// [generator]
heddle::generator<int> ticks(int last) {
  for (int i = 1; i <= last; ++i) {
    co_await heddle::sleep_for(100us);
    co_yield i;
  }
}

heddle::task<int> count_ticks() {
  int sum = 0;
  auto source = ticks(4);
  while (const auto tick = co_await source.next()) sum += *tick;
  co_return sum;
}
// [/generator]

// [local]
constexpr heddle::task_local<int> request_id;

heddle::task<std::string> log_line() {
  const int* const id = co_await request_id.get();
  co_return fmt::format("request {}", id != nullptr ? *id : 0);
}

heddle::task<std::string> handle() { co_return co_await request_id.with(17, log_line()); }
// [/local]

// [trace]
heddle::task<std::string> where() {
  const heddle::task_trace trace = co_await heddle::this_task::trace();
  co_return trace.text();  // where() and who awaits it, a line for each: file, line, function
}
// [/trace]

heddle::task<std::string> outer() { co_return co_await where(); }

int main() {
  const int sum = heddle::sync_wait(sum_of_both());
  const bool won = heddle::sync_wait(nearest_wins());
  const int visited = heddle::sync_wait(visit_all());
  int lent = 0;
  std::stop_source stop;
  stop.request_stop();
  (void)heddle::sync_wait_outcome(borrow(lent), {stop.get_token()});
  const int counted = heddle::sync_wait(count_ticks());
  const std::string line = heddle::sync_wait(handle());
  const std::string trace = heddle::sync_wait(outer());
  const bool traced = trace.find("(where)") != std::string::npos && trace.find("(outer)") != std::string::npos;
  fmt::print("async and await: together {}, race {}, scope {}, stream {}, '{}', the trace names {}\n", sum,
             won ? "won" : "lost", visited, counted, line, traced ? "everybody" : "not everybody");
  return sum == 9 && lent == 0 && won && visited == 6 && counted == 10 && line == "request 17" && traced ? 0 : 1;
}
