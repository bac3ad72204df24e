#pragma once

// For tests: the routes of a small shop, and requests to them.

#include <heddle/http/internal/server_trial.hpp>
#include <heddle/sync/semaphore.hpp>

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace heddle::http::internal {

// A server that says what it got; `/wait` waits for `gate`.
struct shop {
  semaphore gate{0, "test gate"};
  std::vector<std::string> logged;
  int waiting = 0;

  router routes() {
    router made;
    made.add("GET", "/hello/{name}", [](call& asked) -> task<response> {
      co_return text_response(200, "text/plain", fmt::format("hello {}", asked.value("name")));
    });
    made.add("POST", "/echo", [](call& asked) -> task<response> {
      co_return text_response(200, "text/plain", std::move(asked.request.body));
    });
    made.add("GET", "/wait", [this](call&) -> task<response> {
      ++waiting;
      (void)co_await gate.async_acquire();
      co_return text_response(200, "text/plain", "waited");
    });
    made.add("GET", "/throw", [](call&) -> task<response> {
      throw std::runtime_error("out of luck");
      co_return response();
    });
    made.add("GET", "/stop", [](call&) -> task<response> {
      co_await this_task::end_as_stopped();
      co_return response();
    });
    made.add("GET", "/inject", [](call&) -> task<response> {
      response answer;
      answer.headers.add("Location", "/\r\nSet-Cookie: a=b");
      co_return answer;
    });
    made.add("GET", "/big", [](call&) -> task<response> {
      co_return text_response(200, "text/plain", std::string(std::size_t{32} * 1024 * 1024, 'b'));
    });
    made.add("GET", "/health", [](call&) -> task<response> { co_return text_response(200, "text/plain", "fine"); },
             {.shed = false});
    return made;
  }

  server_options options() {
    server_options made;
    made.log = [this](std::string_view text) { logged.emplace_back(text); };
    return made;
  }
};

inline std::string get(std::string_view path, std::string_view more = {}) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: a\r\n{}\r\n", path, more);
}

inline std::string post(std::string_view path, std::string_view body) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}", path, body.size(), body);
}

}  // namespace heddle::http::internal
