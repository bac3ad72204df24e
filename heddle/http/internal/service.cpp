#include <heddle/http/internal/service.hpp>

#include <heddle/base/deadline.hpp>
#include <heddle/http/internal/date.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/this_task.hpp>

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <utility>

namespace heddle::http::internal {

namespace {

// What to answer if no route fits: 404, or 405 with what would.
response no_route(const router::found& result) {
  if (result.allow.empty()) return problem(404);
  response made = problem(405);
  made.headers.add("Allow", result.allow);
  return made;
}

response bad_target() { return problem(400, {}, "the percent-encoding of the target is broken"); }

response failed_expectation() { return problem(417, {}, "only 100-continue can be expected"); }

bool unknown_expectation(const request& head) noexcept {
  return head.version == version::http_1_1 && head.headers.contains("expect") && !expects_continue(head);
}

std::string describe(const call& asked, std::string_view what) {
  return fmt::format("http: {} {}: {}", asked.request.method, asked.target.path, what);
}

}  // namespace

service::service(router routes, server_options allowed)
    : options(std::move(allowed)),
      connections(options.max_connections, "http connections"),
      routes_(std::move(routes)),
      turns_(options.max_running, "http handlers") {}

response service::come_back_later(response made) const {
  made.headers.add("Retry-After", fmt::to_string(options.retry_after.count()));
  return made;
}

task<response> service::answer(call& asked) {
  auto target = parse_target(asked.request.target);
  if (!target) co_return bad_target();
  if (unknown_expectation(asked.request)) co_return failed_expectation();
  asked.target = *std::move(target);
  router::found result = routes_.find(asked.request.method, asked.target);
  if (result.match == nullptr) co_return no_route(result);
  asked.values = std::move(result.values);

  std::optional<semaphore_permit> turn;
  if (result.match->options.shed) {
    turn = co_await take_turn();
    if (!turn) {
      ++counters.shed;
      co_return come_back_later(problem(503, {}, "the service is overloaded"));
    }
  }
  co_return co_await handle(*result.match, asked);
}

task<response> service::handle(const router::route& route, call& asked) {
  const task_context& outer = co_await this_task::context();
  std::string what;
  try {
    nested_context limited(outer, deadline::after(options.handler_timeout));
    outcome<response> ended = co_await as_outcome(route.handler(asked), &limited.context());
    if (!ended.is_stopped()) co_return std::move(ended).value();
    if (limited.expired()) {
      ++counters.handler_timeouts;
      log(describe(asked, "the handler took too long and was stopped"));
      co_return come_back_later(problem(503, {}, "the request took too long"));
    }
    what = "the handler ended as stopped";
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
    what = "an exception that is no std::exception";
  }
  if (outer.stop.stop_requested()) co_await this_task::end_as_stopped();
  ++counters.handler_errors;
  log(describe(asked, what));
  co_return problem(500);
}

task<std::optional<semaphore_permit>> service::take_turn() {
  if (semaphore_permit turn = turns_.try_acquire()) co_return std::move(turn);
  if (counters.waiting >= options.max_waiting) co_return std::nullopt;

  const auto now = std::chrono::steady_clock::now();
  if (counters.waiting == 0) waiting_since_ = now;
  const bool lasting = now - waiting_since_ > options.max_queue_wait;
  const auto most = lasting ? options.max_queue_wait / 10 : options.max_queue_wait;
  const counted here(counters.waiting);
  auto turn = co_await turns_.async_acquire_until(deadline::after(most));
  if (!turn) co_return std::nullopt;
  co_return *std::move(turn);
}

std::optional<response> service::refuse_early(const request& head) const {
  if (unknown_expectation(head)) return failed_expectation();
  const auto target = parse_target(head.target);
  if (!target) return bad_target();
  const router::found result = routes_.find(head.method, *target);
  if (result.match == nullptr) return no_route(result);
  return std::nullopt;
}

std::string_view service::date() {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (now != date_second_) {
    date_second_ = now;
    date_ = http_date(now);
  }
  return date_;
}

void service::log(std::string_view text) const {
  if (options.log) {
    options.log(text);
  } else {
    fmt::print(stderr, "heddle: {}\n", text);
  }
}

server_stats service::current() const noexcept {
  server_stats now = counters;
  now.running = options.max_running - turns_.available();
  return now;
}

}  // namespace heddle::http::internal
