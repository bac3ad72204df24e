#include <heddle/http/client.hpp>
#include <heddle/http/internal/server_trial.hpp>
#include <heddle/io/tcp_listener.hpp>
#include <heddle/sync/semaphore.hpp>
#include <heddle/task/when_all.hpp>

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace heddle;
using namespace heddle::http;
using namespace std::chrono_literals;
using internal::beside_server;
using internal::eventually;
using internal::patience;

request get(std::string_view target) {
  request made;
  made.target = target;
  return made;
}

request post(std::string_view target, std::string_view body) {
  request made;
  made.method = "POST";
  made.target = target;
  made.body = body;
  return made;
}

std::string text(const std::expected<response, client_error>& answered) {
  return answered ? fmt::format("{} {}", answered->status, answered->body)
                  : fmt::format("{}: {}", to_string(answered.error().kind), answered.error().text);
}

std::string_view kind(const std::expected<response, client_error>& answered) {
  return answered ? "answered" : to_string(answered.error().kind);
}

// A server that waits at `/wait` for `gate`.
struct echo {
  semaphore gate{0, "test gate"};
  int waiting = 0;

  router routes() {
    router made;
    made.add("POST", "/echo", [](call& asked) -> task<response> {
      co_return text_response(200, "text/plain", std::move(asked.request.body));
    });
    made.add("GET", "/host", [](call& asked) -> task<response> {
      co_return text_response(200, "text/plain", std::string(asked.request.headers.get("host")));
    });
    made.add("GET", "/close", [](call&) -> task<response> {
      response answer;
      answer.headers.add("Connection", "close");
      co_return answer;
    });
    made.add("GET", "/wait", [this](call&) -> task<response> {
      ++waiting;
      (void)co_await gate.async_acquire();
      co_return text_response(200, "text/plain", "waited");
    });
    return made;
  }
};

// What a made-up server does with one connection.
class script {
 public:
  explicit script(io::tcp_stream stream) : stream_(std::move(stream)) {}

  // Waits for a whole request; false if the client closes.
  task<bool> hear() {
    std::vector<std::byte> buffer(4096);
    while (!parser_.done()) {
      const auto read = co_await stream_.read_some(buffer, patience());
      if (!read || *read == 0) co_return false;
      EXPECT_TRUE(parser_.feed(std::span(buffer).first(*read)));
    }
    last = parser_.take();
    co_return true;
  }
  task<void> say(std::string_view text) {
    (void)co_await stream_.write_all(std::as_bytes(std::span(text)), patience());
  }
  void close() { stream_.close(); }
  void abort() { stream_.abort(); }

  request last;

 private:
  io::tcp_stream stream_;
  request_parser parser_;
};

// Runs `body(client, port, loop)` beside a server that does `each(script, number)` with every connection, the first
// being number 0.
template <typename Each, typename Body>
void beside_script(Each each, Body body, client_options options = {}) {
  io::event_loop loop;
  auto listener = io::tcp_listener::bind(loop, "127.0.0.1", 0);
  ASSERT_TRUE(listener);
  client sending(loop, options);
  const auto one = [&](io::tcp_stream stream, int number) -> task<void> {
    script with(std::move(stream));
    co_await each(with, number);
  };
  const auto test = [&]() -> task<void> {
    const auto accepting = [&](scope& all) -> task<void> {
      for (int number = 0;; ++number) {
        auto made = co_await listener->accept();
        if (!made) co_return;
        all.spawn(one(*std::move(made), number));
      }
    };
    co_await with_scope([&](scope& all) -> task<void> {
      all.spawn(accepting(all));
      co_await body(sending, listener->port(), loop);
      sending.close_idle();
      all.stop();
    });
  };
  loop.run(test());
}

constexpr std::string_view ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST(client, gets_a_response) {
  echo echo;
  beside_server(echo.routes(), {}, [](server& serving, io::event_loop& loop) -> task<void> {
    client sending(loop);
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", serving.port(), post("/echo", "hello"))), "200 hello");
    EXPECT_EQ(text(co_await sending.send("localhost", serving.port(), get("/host"))),
              fmt::format("200 localhost:{}", serving.port()));
    request own = get("/host");
    own.headers.add("Host", "other");
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", serving.port(), own)), "200 other");
    EXPECT_EQ((co_await sending.send("127.0.0.1", serving.port(), get("/nowhere")))->status, 404U);
    const std::string big(1'000'000, 'x');
    EXPECT_EQ((co_await sending.send("127.0.0.1", serving.port(), post("/echo", big)))->body, big);
  });
}

TEST(client, a_connection_is_used_again) {
  echo echo;
  beside_server(echo.routes(), {}, [](server& serving, io::event_loop& loop) -> task<void> {
    client sending(loop);
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(text(co_await sending.send("127.0.0.1", serving.port(), post("/echo", "x"))), "200 x");
    }
    EXPECT_EQ(serving.stats().accepted, 1U);
    EXPECT_EQ(sending.stats().connected, 1U);
    EXPECT_EQ(sending.stats().reused, 9U);
    EXPECT_EQ(sending.stats().kept, 1U);
    sending.close_idle();
    EXPECT_EQ(sending.stats().kept, 0U);
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", serving.port(), post("/echo", "x"))), "200 x");
    EXPECT_EQ(sending.stats().connected, 2U);
  });
}

TEST(client, a_connection_that_is_to_close_is_not_kept) {
  echo echo;
  beside_server(echo.routes(), {}, [](server& serving, io::event_loop& loop) -> task<void> {
    client sending(loop);
    EXPECT_EQ((co_await sending.send("127.0.0.1", serving.port(), get("/close")))->status, 200U);
    EXPECT_EQ(sending.stats().kept, 0U);
  });
}

TEST(client, a_connection_that_was_idle_for_too_long_is_not_used_again) {
  echo echo;
  beside_server(echo.routes(), {}, [](server& serving, io::event_loop& loop) -> task<void> {
    client sending(loop, {.idle_timeout = 0ms});
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(text(co_await sending.send("127.0.0.1", serving.port(), post("/echo", "x"))), "200 x");
    }
    EXPECT_EQ(sending.stats().connected, 3U);
  });
}

TEST(client, no_more_connections_than_allowed) {
  echo echo;
  beside_server(echo.routes(), {}, [&](server& serving, io::event_loop& loop) -> task<void> {
    client sending(loop, {.max_connections = 3});
    std::vector<std::string> answers;
    const auto ask = [&]() -> task<void> {
      answers.push_back(text(co_await sending.send("127.0.0.1", serving.port(), get("/wait"))));
    };
    co_await with_scope([&](scope& all) -> task<void> {
      for (int i = 0; i < 10; ++i) all.spawn(ask());
      EXPECT_TRUE(co_await eventually([&] { return echo.waiting == 3; }));
      const auto late =
          co_await sending.send("127.0.0.1", serving.port(), get("/host"), {.until = deadline::after(20ms)});
      EXPECT_EQ(kind(late), "timeout") << "there is no connection for it";
      EXPECT_EQ(echo.waiting, 3);
      echo.gate.release(10);
    });
    EXPECT_EQ(answers, std::vector<std::string>(10, "200 waited"));
    EXPECT_EQ(serving.stats().accepted, 3U);
    EXPECT_EQ(sending.stats().kept, 3U);
  });
}

TEST(client, many_requests_at_once_are_not_mixed_up) {
  echo echo;
  beside_server(echo.routes(), {}, [](server& serving, io::event_loop& loop) -> task<void> {
    client sending(loop, {.max_connections = 8});
    const auto ask = [&](int i) -> task<void> {
      for (int round = 0; round < 20; ++round) {
        const std::string body = fmt::format("{}/{}", i, round);
        EXPECT_EQ(text(co_await sending.send("127.0.0.1", serving.port(), post("/echo", body))), "200 " + body);
      }
    };
    std::vector<task<void>> all;
    for (int i = 0; i < 50; ++i) all.push_back(ask(i));
    co_await when_all(std::move(all));
    EXPECT_LE(serving.stats().accepted, 8U);
  });
}

TEST(client, an_unreachable_server_is_told) {
  io::event_loop loop;
  client sending(loop);
  std::uint16_t port = 0;
  {
    const auto taken = io::tcp_listener::bind(loop, "127.0.0.1", 0);
    ASSERT_TRUE(taken);
    port = taken->port();
  }
  const auto answered = loop.run(sending.send("127.0.0.1", port, get("/")));
  EXPECT_EQ(kind(answered), "connect_failed");
  EXPECT_TRUE(text(answered).contains(fmt::format("127.0.0.1:{}: ", port))) << text(answered);
}

TEST(client, a_request_that_cannot_be_written_is_told) {
  io::event_loop loop;
  client sending(loop);
  EXPECT_EQ(kind(loop.run(sending.send("127.0.0.1", 1, get("/a b")))), "bad_request");
}

TEST(client, a_deadline_ends_a_request) {
  echo echo;
  beside_server(echo.routes(), {}, [&](server& serving, io::event_loop& loop) -> task<void> {
    client sending(loop);
    const auto late =
        co_await sending.send("127.0.0.1", serving.port(), get("/wait"), {.until = deadline::after(20ms)});
    EXPECT_EQ(kind(late), "timeout");
    EXPECT_EQ(sending.stats().kept, 0U);
    echo.gate.release();
  });
}

TEST(client, a_stop_ends_a_request) {
  echo echo;
  beside_server(echo.routes(), {}, [&](server& serving, io::event_loop& loop) -> task<void> {
    client sending(loop);
    std::stop_source stop;
    std::string_view how;
    const auto ask = [&]() -> task<void> {
      how = kind(co_await sending.send("127.0.0.1", serving.port(), get("/wait"), {.stop = stop.get_token()}));
    };
    co_await with_scope([&](scope& all) -> task<void> {
      all.spawn(ask());
      EXPECT_TRUE(co_await eventually([&] { return echo.waiting == 1; }));
      stop.request_stop();
    });
    EXPECT_EQ(how, "stopped");
    echo.gate.release();
  });
}

TEST(client, a_stopped_task_takes_its_connection_with_it) {
  echo echo;
  beside_server(echo.routes(), {}, [&](server& serving, io::event_loop& loop) -> task<void> {
    client sending(loop);
    co_await with_scope([&](scope& all) -> task<void> {
      all.spawn(sending.send("127.0.0.1", serving.port(), get("/wait")));
      EXPECT_TRUE(co_await eventually([&] { return echo.waiting == 1; }));
      all.stop();
    });
    EXPECT_EQ(sending.stats().kept, 0U);
    echo.gate.release();
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", serving.port(), post("/echo", "x"))), "200 x");
  });
}

// The server closes a kept connection only when the next request is on it: the probe before it sees nothing.
task<void> stale_after_one(script& with, int number) {
  if (!co_await with.hear()) co_return;
  co_await with.say(ok);
  if (number == 0) {
    (void)co_await with.hear();
    co_return with.close();
  }
  while (co_await with.hear()) co_await with.say(ok);
}

TEST(client, a_stale_connection_is_replaced_for_what_may_be_repeated) {
  beside_script(stale_after_one, [](client& sending, std::uint16_t port, io::event_loop&) -> task<void> {
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", port, get("/"))), "200 ok");
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", port, get("/"))), "200 ok");
    EXPECT_EQ(sending.stats().retried, 1U);
    EXPECT_EQ(sending.stats().connected, 2U);
  });
  beside_script(stale_after_one, [](client& sending, std::uint16_t port, io::event_loop&) -> task<void> {
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", port, get("/"))), "200 ok");
    request charge = post("/charge", "x");
    charge.headers.add("Idempotency-Key", "7");
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", port, charge)), "200 ok");
    EXPECT_EQ(sending.stats().retried, 1U);
  });
  beside_script(stale_after_one, [](client& sending, std::uint16_t port, io::event_loop&) -> task<void> {
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", port, get("/"))), "200 ok");
    EXPECT_EQ(kind(co_await sending.send("127.0.0.1", port, post("/", "x"))), "stale") << "it may have been done";
    EXPECT_EQ(sending.stats().retried, 0U);
  });
  beside_script(stale_after_one, [](client& sending, std::uint16_t port, io::event_loop&) -> task<void> {
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", port, get("/"))), "200 ok");
    EXPECT_EQ(kind(co_await sending.send("127.0.0.1", port, get("/"), {.retry_stale = false})), "stale");
  });
}

TEST(client, a_kept_connection_that_was_closed_is_not_even_tried) {
  int closed = 0;
  const auto close_after_one = [&](script& with, int) -> task<void> {
    if (!co_await with.hear()) co_return;
    co_await with.say(ok);
    with.close();
    ++closed;
  };
  beside_script(close_after_one, [&](client& sending, std::uint16_t port, io::event_loop&) -> task<void> {
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", port, post("/", "x"))), "200 ok");
    EXPECT_TRUE(co_await eventually([&] { return closed == 1; }));
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", port, post("/", "x"))), "200 ok");
    EXPECT_EQ(sending.stats().reused, 0U);
  });
}

TEST(client, a_late_response_is_never_taken_for_the_next_one) {
  semaphore gate{0, "test gate"};
  const auto late = [&](script& with, int number) -> task<void> {
    if (!co_await with.hear()) co_return;
    if (number == 0) (void)co_await gate.async_acquire();
    co_await with.say(number == 0 ? "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate" : ok);
    (void)co_await with.hear();
  };
  beside_script(late, [&](client& sending, std::uint16_t port, io::event_loop&) -> task<void> {
    EXPECT_EQ(kind(co_await sending.send("127.0.0.1", port, get("/"), {.until = deadline::after(20ms)})), "timeout");
    gate.release();
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", port, get("/"))), "200 ok");
  });
}

TEST(client, bytes_behind_a_response_rule_its_connection_out) {
  const auto chatty = [](script& with, int) -> task<void> {
    if (!co_await with.hear()) co_return;
    co_await with.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    (void)co_await with.hear();
  };
  beside_script(chatty, [](client& sending, std::uint16_t port, io::event_loop&) -> task<void> {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(text(co_await sending.send("127.0.0.1", port, get("/"))), "200 ok");
    EXPECT_EQ(sending.stats().reused, 0U);
  });
}

TEST(client, broken_servers_are_told_apart) {
  struct broken {
    std::string_view says;
    bool aborts;
    std::string_view kind;
    std::size_t kept = 0;
  };
  const broken cases[] = {
      {"", false, "closed"},
      {"", true, "reset"},
      {"HTTP/1.1 200 OK\r\nContent-Le", false, "closed"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", false, "closed"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false, "closed"},
      {"hello\r\n\r\n", false, "bad_response"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", false, "bad_response"},
      {"HTTP/1.1 101 Switching Protocols\r\n\r\n", false, "bad_response"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", false, "too_large"},
      {"HTTP/1.1 200 OK\r\n\r\nuntil the end", false, "answered"},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, "answered", 1},
  };
  const auto say = [&](script& with, int number) -> task<void> {
    const broken& now = cases[number];
    if (!co_await with.hear()) co_return;
    if (!now.says.empty()) co_await with.say(now.says);
    if (now.aborts) with.abort();
  };
  const auto check = [&](client& sending, std::uint16_t port, io::event_loop&) -> task<void> {
    for (const broken& now : cases) {
      sending.close_idle();
      const auto answered = co_await sending.send("127.0.0.1", port, get("/"));
      EXPECT_EQ(kind(answered), now.kind) << now.says << "\n" << text(answered);
      EXPECT_EQ(sending.stats().kept, now.kept) << now.says;
    }
  };
  beside_script(say, check, {.limits = {.max_body_bytes = 1000}});
}

TEST(client, head_gets_no_body) {
  const auto headers_only = [](script& with, int) -> task<void> {
    while (co_await with.hear()) {
      EXPECT_EQ(with.last.method, "HEAD");
      co_await with.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    }
  };
  beside_script(headers_only, [](client& sending, std::uint16_t port, io::event_loop&) -> task<void> {
    request head = get("/");
    head.method = "HEAD";
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", port, head)), "200 ");
    EXPECT_EQ(text(co_await sending.send("127.0.0.1", port, head)), "200 ");
    EXPECT_EQ(sending.stats().reused, 1U);
  });
}

TEST(client, an_early_refusal_of_a_big_body_is_still_read) {
  echo echo;
  server_options small;
  small.limits.max_body_bytes = 1000;
  beside_server(echo.routes(), small, [](server& serving, io::event_loop& loop) -> task<void> {
    client sending(loop);
    const auto answered = co_await sending.send("127.0.0.1", serving.port(), post("/echo", std::string(200'000, 'x')));
    EXPECT_EQ(answered ? answered->status : 0U, 413U) << text(answered);
  });
}

}  // namespace
