#include <heddle/http/internal/shop_trial.hpp>
#include <heddle/http/server.hpp>

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace heddle;
using namespace heddle::http;
using namespace std::chrono_literals;
using internal::beside_server;
using internal::eventually;
using internal::get;
using internal::patience;
using internal::post;
using internal::raw_client;
using internal::shop;

TEST(server, answers_a_request) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say(get("/hello/w%C3%B6rld?x=y"));
    const response answer = co_await client.hear();
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.body, "hello w\xc3\xb6rld");
    EXPECT_EQ(answer.headers.get("content-type"), "text/plain");
    EXPECT_TRUE(answer.headers.get("date").ends_with(" GMT"));
    EXPECT_EQ(serving.stats().requests, 1U);
    EXPECT_EQ(serving.stats().connections, 1U);
  });
}

TEST(server, a_connection_serves_many_requests) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    for (int i = 0; i < 100; ++i) {
      const std::string body(static_cast<std::size_t>(i) * 300, 'x');
      co_await client.say(post("/echo", body));
      EXPECT_EQ((co_await client.hear()).body, body);
    }
    EXPECT_EQ(serving.stats().accepted, 1U);
    EXPECT_EQ(serving.stats().requests, 100U);
  });
}

TEST(server, pipelined_requests_are_answered_in_order_and_together) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    std::string all;
    for (int i = 0; i < 10; ++i) all += get(fmt::format("/hello/{}", i));
    co_await client.say(all);
    for (int i = 0; i < 10; ++i) EXPECT_EQ((co_await client.hear()).body, fmt::format("hello {}", i));
    EXPECT_EQ(serving.stats().sends, 1U);
  });
}

TEST(server, a_slow_request_does_not_hold_up_the_answers_before_it) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [&](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say(get("/hello/first") + get("/wait") + get("/hello/third"));
    EXPECT_EQ((co_await client.hear()).body, "hello first");
    EXPECT_TRUE(co_await client.silent(20ms));
    shop.gate.release();
    EXPECT_EQ((co_await client.hear()).body, "waited");
    EXPECT_EQ((co_await client.hear()).body, "hello third");
  });
}

TEST(server, chunked_bodies_are_read_in_whatever_pieces) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    const std::string_view bytes =
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: "
        "z\r\n\r\n";
    for (const char byte : bytes) {
      co_await client.say(std::string_view(&byte, 1));
      co_await this_task::yield();
    }
    EXPECT_EQ((co_await client.hear()).body, "hello world");
  });
}

TEST(server, unknown_paths_and_methods_are_told_apart) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say(get("/nowhere"));
    response answer = co_await client.hear();
    EXPECT_EQ(answer.status, 404U);
    EXPECT_EQ(answer.headers.get("content-type"), "application/problem+json");
    co_await client.say(get("/echo"));
    answer = co_await client.hear();
    EXPECT_EQ(answer.status, 405U);
    EXPECT_EQ(answer.headers.get("allow"), "POST");
    co_await client.say(get("/hello/%zz"));
    EXPECT_EQ((co_await client.hear()).status, 400U);
    co_await client.say(get("/hello/a", "Expect: the-unexpected\r\n"));
    EXPECT_EQ((co_await client.hear()).status, 417U);
    co_await client.say(get("/hello/still-there"));
    EXPECT_EQ((co_await client.hear()).body, "hello still-there");
  });
}

TEST(server, head_says_the_length_without_the_body) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say("HEAD /hello/you HTTP/1.1\r\nHost: a\r\n\r\n");
    const response answer = co_await client.hear(patience(), true);
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.headers.get("content-length"), "9");
    EXPECT_EQ(answer.body, "");
    co_await client.say(get("/hello/you"));
    EXPECT_EQ((co_await client.hear()).body, "hello you");
  });
}

TEST(server, connections_end_as_the_client_asks) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [](server& serving, io::event_loop& loop) -> task<void> {
    struct asked {
      std::string_view version;
      std::string_view field;
      bool kept;
    };
    const asked cases[] = {{"1.1", "", true},
                           {"1.1", "Connection: close\r\n", false},
                           {"1.0", "", false},
                           {"1.0", "Connection: keep-alive\r\n", true}};
    for (const auto& [version, field, kept] : cases) {
      raw_client client = co_await raw_client::connect(loop, serving.port());
      co_await client.say(fmt::format("GET /hello/a HTTP/{}\r\nHost: a\r\n{}\r\n", version, field));
      const response answer = co_await client.hear();
      EXPECT_EQ(answer.body, "hello a");
      EXPECT_EQ(answer.headers.has_token("connection", "close"), !kept);
      EXPECT_EQ(answer.headers.has_token("connection", "keep-alive"), kept && version == "1.0");
      EXPECT_EQ(co_await client.silent(kept ? 20ms : 20'000ms), kept) << version << " " << field;
    }
  });
}

TEST(server, continue_is_said_before_the_body_comes) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    // Nothing but the interim response can come now: the body is not sent before it is there.
    EXPECT_TRUE(co_await eventually([&] { return serving.stats().sends == 1; }));
    co_await client.say("hello");
    EXPECT_EQ((co_await client.hear()).body, "hello");
  });
}

TEST(server, a_body_that_nobody_wants_is_refused_before_it_is_sent) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [](server& serving, io::event_loop& loop) -> task<void> {
    for (const auto& [target, status] : {std::pair{"/nowhere", 404U}, {"/hello/a", 405U}, {"/%", 400U}}) {
      raw_client client = co_await raw_client::connect(loop, serving.port());
      co_await client.say(
          fmt::format("POST {} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", target));
      const std::string all = co_await client.hear_all();
      EXPECT_TRUE(all.starts_with(fmt::format("HTTP/1.1 {} ", status))) << all;
    }
  });
}

TEST(server, malformed_requests_get_their_status_and_a_close) {
  shop shop;
  server_options options = shop.options();
  options.limits = {.max_head_bytes = 1000, .max_header_count = 10, .max_body_bytes = 1000};
  beside_server(shop.routes(), options, [](server& serving, io::event_loop& loop) -> task<void> {
    const std::pair<std::string, unsigned> cases[] = {
        {"rubbish\r\n\r\n", 400},
        {"\x16\x03\x01\x02", 400},
        {"GET / HTTP/2.0\r\n\r\n", 505},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413},
        {"GET /" + std::string(1000, 'x'), 414},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(1000, 'x'), 431},
    };
    raw_client bystander = co_await raw_client::connect(loop, serving.port());
    for (const auto& [bytes, status] : cases) {
      raw_client client = co_await raw_client::connect(loop, serving.port());
      co_await client.say(bytes);
      const std::string all = co_await client.hear_all();
      EXPECT_TRUE(all.starts_with(fmt::format("HTTP/1.1 {} ", status))) << bytes << "\n" << all;
      EXPECT_NE(all.find("Connection: close\r\n"), std::string::npos) << all;
      EXPECT_NE(all.find("application/problem+json"), std::string::npos) << all;
      co_await bystander.say(get("/hello/a"));
      EXPECT_EQ((co_await bystander.hear()).status, 200U);
    }
    EXPECT_EQ(serving.stats().malformed, std::size(cases));
  });
}

TEST(server, what_came_before_the_malformed_is_still_answered) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say(get("/hello/a") + "rubbish\r\n\r\n" + get("/hello/b"));
    EXPECT_EQ((co_await client.hear()).body, "hello a");
    EXPECT_EQ((co_await client.hear()).status, 400U);
    EXPECT_TRUE(co_await client.closed());
  });
}

TEST(server, a_big_body_that_is_refused_does_not_destroy_the_answer) {
  shop shop;
  server_options options = shop.options();
  options.limits.max_body_bytes = 1000;
  beside_server(shop.routes(), options, [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say(post("/echo", std::string(100'000, 'x')));
    EXPECT_EQ((co_await client.hear()).status, 413U);
    EXPECT_TRUE(co_await client.closed()) << "in good order: a reset could overtake the answer";
  });
}

TEST(server, a_body_that_comes_although_nobody_wants_it_does_not_destroy_the_answer) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say("POST /nowhere HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n" +
                        std::string(100'000, 'x'));
    EXPECT_EQ((co_await client.hear()).status, 404U);
    EXPECT_TRUE(co_await client.closed());
  });
}

TEST(server, a_request_cut_off_by_its_sender_is_400) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    EXPECT_TRUE(client.stream().shutdown_write());
    EXPECT_EQ((co_await client.hear()).status, 400U);
  });
}

TEST(server, a_sender_that_has_finished_still_gets_its_answers) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say(get("/hello/a") + get("/hello/b"));
    EXPECT_TRUE(client.stream().shutdown_write());
    EXPECT_EQ((co_await client.hear()).body, "hello a");
    EXPECT_EQ((co_await client.hear()).body, "hello b");
    EXPECT_TRUE(co_await client.closed());
  });
}

TEST(server, a_throwing_handler_is_a_500_and_the_connection_lives_on) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [&](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say(get("/throw"));
    const response answer = co_await client.hear();
    EXPECT_EQ(answer.status, 500U);
    EXPECT_EQ(answer.headers.get("content-type"), "application/problem+json");
    EXPECT_EQ(answer.body.find("luck"), std::string::npos) << "what went wrong inside is not told outside";
    EXPECT_EQ(shop.logged, std::vector<std::string>{"http: GET /throw: out of luck"});
    co_await client.say(get("/stop"));
    EXPECT_EQ((co_await client.hear()).status, 500U) << "a handler that ends as stopped by itself is answered, too";
    co_await client.say(get("/inject"));
    EXPECT_EQ((co_await client.hear()).status, 500U) << "a response that cannot be written is answered, too";
    co_await client.say(get("/hello/a"));
    EXPECT_EQ((co_await client.hear()).status, 200U);
    EXPECT_EQ(serving.stats().handler_errors, 3U);
  });
}

TEST(server, draining_answers_what_was_asked_and_closes) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [&](server& serving, io::event_loop& loop) -> task<void> {
    raw_client busy = co_await raw_client::connect(loop, serving.port());
    raw_client idle = co_await raw_client::connect(loop, serving.port());
    co_await busy.say(get("/wait") + get("/hello/behind"));
    EXPECT_TRUE(co_await eventually([&] { return shop.waiting == 1 && serving.stats().connections == 2; }));
    serving.drain(20s);
    EXPECT_TRUE(co_await idle.closed()) << "after a short grace";
    const auto late = co_await io::tcp_stream::connect(loop, "127.0.0.1", serving.port(), patience());
    EXPECT_FALSE(late) << "nothing is accepted any more";
    shop.gate.release();
    EXPECT_EQ((co_await busy.hear()).body, "waited");
    const response last = co_await busy.hear();
    EXPECT_EQ(last.body, "hello behind");
    EXPECT_TRUE(last.headers.has_token("connection", "close"));
    EXPECT_TRUE(co_await busy.closed());
  });
}

TEST(server, draining_gives_a_request_on_its_way_a_short_grace) {
  shop shop;
  server_options options = shop.options();
  options.drain_grace = 20s;
  beside_server(shop.routes(), options, [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    EXPECT_TRUE(co_await eventually([&] { return serving.stats().connections == 1; }));
    serving.drain(20s);
    co_await this_task::yield();
    co_await client.say(get("/hello/a"));
    const response answer = co_await client.hear();
    EXPECT_EQ(answer.body, "hello a");
    EXPECT_TRUE(answer.headers.has_token("connection", "close"));
    EXPECT_TRUE(co_await client.closed());
  });
}

TEST(server, draining_stops_a_handler_at_the_deadline) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [&](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say(get("/wait"));
    EXPECT_TRUE(co_await eventually([&] { return shop.waiting == 1; }));
    serving.drain(50ms);
    EXPECT_TRUE(co_await client.closed());
    EXPECT_TRUE(co_await eventually([&] { return serving.stats().connections == 0; }));
  });
  EXPECT_EQ(shop.logged.size(), 1U) << "it says so";
}

TEST(server, stopping_its_task_ends_everything_at_once) {
  shop shop;
  io::event_loop loop;
  server serving(loop, shop.routes(), shop.options());
  ASSERT_TRUE(serving.listen("127.0.0.1", 0));
  const auto test = [&]() -> task<void> {
    co_await with_scope([&](scope& all) -> task<void> {
      all.spawn(serving.run(), "server");
      raw_client busy = co_await raw_client::connect(loop, serving.port());
      raw_client idle = co_await raw_client::connect(loop, serving.port());
      co_await busy.say(get("/wait"));
      EXPECT_TRUE(co_await eventually([&] { return shop.waiting == 1 && serving.stats().connections == 2; }));
      all.stop();
    });
  };
  loop.run(test());
  EXPECT_EQ(serving.stats().connections, 0U);
}

TEST(server, a_taken_port_is_told) {
  io::event_loop loop;
  server first(loop, router());
  server second(loop, router());
  ASSERT_TRUE(first.listen("127.0.0.1", 0));
  const auto taken = second.listen("127.0.0.1", first.port());
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, io::io_errc::address_in_use);
}

// What curl says about `arguments`, the server's address put in for {}.
std::string curl(std::string_view arguments, std::uint16_t port) {
  const std::string command = fmt::format(fmt::runtime(fmt::format("curl -s -S --max-time 30 {} 2>&1", arguments)),
                                          fmt::format("http://127.0.0.1:{}", port));
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string out;
  char buffer[4096];
  while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, pipe.get())) out.append(buffer, got);
  return out;
}

TEST(server, curl_gets_on_with_it) {
  shop shop;
  io::event_loop loop;
  server serving(loop, shop.routes(), shop.options());
  ASSERT_TRUE(serving.listen("127.0.0.1", 0));
  std::thread runs([&] { loop.run(serving.run()); });
  EXPECT_EQ(curl("{0}/hello/curl", serving.port()), "hello curl");
  EXPECT_EQ(curl("-d some=form {0}/echo", serving.port()), "some=form");
  EXPECT_EQ(curl("-H 'Transfer-Encoding: chunked' -d chunks {0}/echo", serving.port()), "chunks");
  EXPECT_EQ(curl("-H 'Expect: 100-continue' -d expected {0}/echo", serving.port()), "expected");
  EXPECT_EQ(curl("-0 {0}/hello/old", serving.port()), "hello old");
  EXPECT_EQ(curl("-w '%{{http_code}} %{{num_connects}};' {0}/hello/a {0}/hello/b", serving.port()),
            "hello a200 1;hello b200 0;");
  EXPECT_EQ(curl("-I -o /dev/null -w '%{{http_code}}' {0}/hello/head", serving.port()), "200");
  EXPECT_EQ(curl("-o /dev/null -w '%{{http_code}}' {0}/nowhere", serving.port()), "404");
  serving.drain(20s);
  runs.join();
}

}  // namespace
