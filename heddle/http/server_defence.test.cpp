// What slow, greedy and many clients can do to a server.

#include <heddle/http/internal/shop_trial.hpp>
#include <heddle/http/server.hpp>

#include <gtest/gtest.h>

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <memory>
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
using internal::get;
using internal::patience;
using internal::post;
using internal::raw_client;
using internal::shop;

// Sends a byte whenever nothing has come for a moment, until something comes.
task<response> trickle(raw_client& client, char byte) {
  for (int i = 0; i < 10'000; ++i) {
    if (!co_await client.silent(5ms)) break;
    if (!co_await client.say(std::string_view(&byte, 1))) break;
  }
  co_return co_await client.hear();
}

server_options hasty(server_options options) {
  options.grace = 50ms;
  options.min_rate = 10'000;
  return options;
}

TEST(server, a_trickling_head_is_answered_408) {
  shop shop;
  beside_server(shop.routes(), hasty(shop.options()), [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say("GET / HTTP/1.1\r\nHost: a\r\nX: ");
    EXPECT_EQ((co_await trickle(client, 'x')).status, 408U);
    EXPECT_EQ(serving.stats().timed_out, 1U);
  });
}

TEST(server, a_trickling_body_is_answered_408) {
  shop shop;
  beside_server(shop.routes(), hasty(shop.options()), [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    EXPECT_EQ((co_await trickle(client, 'x')).status, 408U);
    EXPECT_EQ(serving.stats().timed_out, 1U);
  });
}

TEST(server, a_head_has_a_last_moment_however_fast_it_comes) {
  shop shop;
  server_options options = shop.options();
  options.head_most = 50ms;
  options.min_rate = 1;
  beside_server(shop.routes(), options, [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say("GET / HTTP/1.1\r\nHost: a\r\nX: ");
    EXPECT_EQ((co_await trickle(client, 'x')).status, 408U);
  });
}

TEST(server, a_reader_that_does_not_read_is_cut_off) {
  shop shop;
  server_options options = shop.options();
  options.grace = 50ms;
  options.min_rate = 1000;
  beside_server(shop.routes(), options, [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say(get("/big"));
    EXPECT_TRUE(co_await eventually([&] { return serving.stats().timed_out == 1; }));
    EXPECT_TRUE(co_await eventually([&] { return serving.stats().connections == 0; }));
  });
}

TEST(server, a_reader_that_is_too_slow_is_cut_off) {
  shop shop;
  server_options options = shop.options();
  options.grace = 50ms;
  options.min_rate = std::uint64_t{10} * 1024 * 1024 * 1024;
  beside_server(shop.routes(), options, [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    raw_client bystander = co_await raw_client::connect(loop, serving.port());
    co_await client.say(get("/big"));
    std::vector<std::byte> buffer(std::size_t{4} * 1024 * 1024);
    while (true) {
      const auto read = co_await client.stream().read_some(buffer, patience());
      if (!read || *read == 0) break;
      if (serving.stats().timed_out == 0) EXPECT_TRUE(co_await bystander.silent(20ms));
    }
    EXPECT_EQ(serving.stats().timed_out, 1U);
  });
}

TEST(server, a_slow_reader_that_keeps_up_gets_it_all) {
  shop shop;
  server_options options = shop.options();
  options.grace = 50ms;
  options.min_rate = 1000;
  beside_server(shop.routes(), options, [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    raw_client bystander = co_await raw_client::connect(loop, serving.port());
    co_await client.say(get("/big"));
    // It lets several graces pass; each time it has taken more than it must.
    std::size_t taken = 0;
    std::vector<std::byte> buffer(std::size_t{4} * 1024 * 1024);
    while (taken < std::size_t{32} * 1024 * 1024) {
      const auto read = co_await client.stream().read_some(buffer, patience());
      if (!read || *read == 0) break;
      taken += *read;
      if (taken < std::size_t{12} * 1024 * 1024) EXPECT_TRUE(co_await bystander.silent(20ms));
    }
    EXPECT_GE(taken, std::size_t{32} * 1024 * 1024);
    EXPECT_EQ(serving.stats().timed_out, 0U);
  });
}

TEST(server, a_reader_that_reads_gets_a_big_answer_whole) {
  shop shop;
  beside_server(shop.routes(), shop.options(), [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say(get("/big"));
    EXPECT_EQ((co_await client.hear()).body.size(), std::size_t{32} * 1024 * 1024);
  });
}

TEST(server, an_idle_connection_is_closed_without_a_word) {
  shop shop;
  server_options options = shop.options();
  options.idle_timeout = 300ms;
  beside_server(shop.routes(), options, [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client fresh = co_await raw_client::connect(loop, serving.port());
    EXPECT_TRUE(co_await fresh.closed());
    raw_client used = co_await raw_client::connect(loop, serving.port());
    co_await used.say(get("/hello/a"));
    EXPECT_EQ((co_await used.hear()).status, 200U);
    EXPECT_TRUE(co_await used.closed());
    EXPECT_EQ(serving.stats().timed_out, 0U);
  });
}

TEST(server, a_handler_that_takes_too_long_is_stopped_and_answered_503) {
  shop shop;
  server_options options = shop.options();
  options.handler_timeout = 30ms;
  beside_server(shop.routes(), options, [](server& serving, io::event_loop& loop) -> task<void> {
    raw_client client = co_await raw_client::connect(loop, serving.port());
    co_await client.say(get("/wait"));
    EXPECT_EQ((co_await client.hear()).status, 503U);
    EXPECT_EQ(serving.stats().handler_timeouts, 1U);
    EXPECT_EQ(serving.stats().running, 0U);
    co_await client.say(get("/hello/a"));
    EXPECT_EQ((co_await client.hear()).status, 200U);
  });
}

TEST(server, overload_is_shed_with_503) {
  shop shop;
  server_options options = shop.options();
  options.max_running = 1;
  options.max_waiting = 1;
  options.max_queue_wait = 1s;
  options.retry_after = 7s;
  beside_server(shop.routes(), options, [&](server& serving, io::event_loop& loop) -> task<void> {
    raw_client running = co_await raw_client::connect(loop, serving.port());
    raw_client waiting = co_await raw_client::connect(loop, serving.port());
    raw_client turned_away = co_await raw_client::connect(loop, serving.port());
    raw_client checking = co_await raw_client::connect(loop, serving.port());
    co_await running.say(get("/wait"));
    EXPECT_TRUE(co_await eventually([&] { return shop.waiting == 1; }));
    co_await waiting.say(get("/hello/a"));
    EXPECT_TRUE(co_await eventually([&] { return serving.stats().waiting == 1; }));

    co_await turned_away.say(get("/hello/b"));
    response answer = co_await turned_away.hear();
    EXPECT_EQ(answer.status, 503U) << "the queue is full";
    EXPECT_EQ(serving.stats().waiting, 1U) << "it is answered at once";
    EXPECT_EQ(answer.headers.get("retry-after"), "7");
    co_await checking.say(get("/health"));
    EXPECT_EQ((co_await checking.hear()).status, 200U) << "health checks are not shed";

    answer = co_await waiting.hear();
    EXPECT_EQ(answer.status, 503U) << "it waited too long";
    EXPECT_EQ(serving.stats().shed, 2U);

    co_await waiting.say(get("/hello/c"));
    EXPECT_TRUE(co_await eventually([&] { return serving.stats().waiting == 1; }));
    shop.gate.release();
    EXPECT_EQ((co_await running.hear()).body, "waited");
    EXPECT_EQ((co_await waiting.hear()).body, "hello c") << "who gets a turn in time is served";
  });
}

TEST(server, no_more_connections_than_allowed_are_accepted) {
  shop shop;
  server_options options = shop.options();
  options.max_connections = 2;
  beside_server(shop.routes(), options, [](server& serving, io::event_loop& loop) -> task<void> {
    auto first = std::make_unique<raw_client>(co_await raw_client::connect(loop, serving.port()));
    raw_client second = co_await raw_client::connect(loop, serving.port());
    raw_client third = co_await raw_client::connect(loop, serving.port());
    co_await third.say(get("/hello/third"));
    EXPECT_TRUE(co_await third.silent(30ms));
    EXPECT_EQ(serving.stats().accepted, 2U);
    first.reset();
    EXPECT_EQ((co_await third.hear()).body, "hello third");
  });
}

TEST(server, thousands_of_idle_connections_take_little_memory) {
  rlimit descriptors{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &descriptors), 0);
  descriptors.rlim_cur = descriptors.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &descriptors), 0);
  // Both ends of each connection are in this process.
  const std::size_t count = std::min<std::size_t>(10'000, (descriptors.rlim_cur - 100) / 2);
  ASSERT_GT(count, 400U);

  shop shop;
  beside_server(shop.routes(), shop.options(), [&](server& serving, io::event_loop& loop) -> task<void> {
    std::vector<raw_client> clients;
    clients.reserve(count);
    const auto before = mallinfo2().uordblks;
    for (std::size_t i = 0; i < count; ++i) clients.push_back(co_await raw_client::connect(loop, serving.port()));
    // Half of them have been used.
    for (std::size_t i = 0; i < count; i += 2) {
      co_await clients[i].say(post("/echo", std::string(5000, 'x')));
      EXPECT_EQ((co_await clients[i].hear()).body.size(), 5000U);
    }
    EXPECT_TRUE(co_await eventually([&] { return serving.stats().connections == count; }));
    const auto each = (mallinfo2().uordblks - before) / count;
    EXPECT_LT(each, 8U * 1024) << "for both ends";
    RecordProperty("bytes_each", static_cast<int>(each));
    raw_client& last = clients.back();
    co_await last.say(get("/hello/last"));
    EXPECT_EQ((co_await last.hear()).body, "hello last");
    clients.clear();
    EXPECT_TRUE(co_await eventually([&] { return serving.stats().connections == 0; }));
  });
}

}  // namespace
