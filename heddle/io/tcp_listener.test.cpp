#include <heddle/io/internal/tcp_trial.hpp>
#include <heddle/io/internal/wait_trial.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <tests/support/misuse.hpp>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace heddle::io {
namespace {

using namespace std::chrono_literals;
using tcp_misuse = test::misuse;

// --- listening and connecting ---

TEST(tcp, port_zero_is_a_free_port) {
  event_loop loop;
  const auto one = tcp_listener::bind(loop, "127.0.0.1", 0);
  const auto other = tcp_listener::bind(loop, "localhost", 0);
  EXPECT_NE(one.value().port(), 0);
  EXPECT_NE(one.value().port(), other.value().port());
}

TEST(tcp, a_taken_port_is_told) {
  event_loop loop;
  const auto one = tcp_listener::bind(loop, "127.0.0.1", 0);
  const auto other = tcp_listener::bind(loop, "127.0.0.1", one.value().port());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, io_errc::address_in_use) << other.error().text();
}

TEST(tcp, a_port_can_be_shared_on_request) {
  event_loop loop;
  const auto one = tcp_listener::bind(loop, "127.0.0.1", 0, {.reuse_port = true});
  EXPECT_TRUE(tcp_listener::bind(loop, "127.0.0.1", one.value().port(), {.reuse_port = true}));
}

TEST(tcp, connecting_where_nobody_listens_is_refused) {
  event_loop loop;
  auto body = [](event_loop& on) -> task<void> {
    std::uint16_t port = 0;
    {
      const auto gone = tcp_listener::bind(on, "127.0.0.1", 0);
      port = gone.value().port();
    }
    const auto made = co_await tcp_stream::connect(on, "127.0.0.1", port);
    EXPECT_FALSE(made);
    if (!made) EXPECT_EQ(made.error().kind, io_errc::refused) << made.error().text();
  };
  loop.run(body(loop));
}

TEST(tcp, a_name_is_not_looked_up) {
  event_loop loop;
  auto body = [](event_loop& on) -> task<void> {
    const auto made = co_await tcp_stream::connect(on, "example.com", 80);
    EXPECT_FALSE(made);
    if (!made) EXPECT_NE(made.error().text().find("only IP addresses and localhost"), std::string::npos);
  };
  loop.run(body(loop));
  const auto bound = tcp_listener::bind(loop, "example.com", 0);
  ASSERT_FALSE(bound);
  EXPECT_NE(bound.error().text().find("only IP addresses and localhost"), std::string::npos);
}

TEST(tcp, an_accept_that_timed_out_loses_no_connection) {
  on_a_link([](link& over) -> task<void> {
    EXPECT_EQ((co_await over.listener.accept(deadline::after(5ms))).error().kind, io_errc::timeout);
    const auto here = co_await tcp_stream::connect(over.loop, "localhost", over.listener.port());
    EXPECT_TRUE(here);
    const auto there = co_await over.listener.accept(deadline::at_ns(1));
    EXPECT_TRUE(there);
  });
}

TEST(tcp, closing_a_listener_wakes_the_acceptor) {
  on_a_link([](link& over) -> task<void> {
    co_await with_scope([&](scope& s) -> task<void> {
      s.spawn([](link& on) -> task<void> {
        co_await on.loop.sleep_for(5ms);
        on.listener.close();
      }(over));
      EXPECT_EQ((co_await over.listener.accept()).error().kind, io_errc::closed);
    });
    EXPECT_FALSE(over.listener.is_open());
  });
}

TEST(tcp, a_connection_that_broke_off_early_does_no_harm) {
  on_a_link([](link& over) -> task<void> {
    tcp_stream early = (co_await tcp_stream::connect(over.loop, "127.0.0.1", over.listener.port())).value();
    early.abort();
    tcp_stream here = (co_await tcp_stream::connect(over.loop, "127.0.0.1", over.listener.port())).value();
    EXPECT_TRUE(co_await here.write_all(bytes("alive")));
    tcp_stream there = (co_await over.listener.accept()).value();
    std::array<std::byte, 8> buffer;
    const auto got = co_await there.read_some(buffer);
    if (got) {  // the first was passed over
      EXPECT_EQ(*got, 5U);
      co_return;
    }
    EXPECT_EQ(got.error().kind, io_errc::reset);
    there = (co_await over.listener.accept()).value();
    EXPECT_EQ(co_await read_exactly(there, 5), "alive");
  });
}

// Lets the process open no more descriptors than it has, for as long as it lives.
class no_descriptors {
 public:
  no_descriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int next = dup(0);  // the lowest that is free
    close(next);
    rlimit now = before_;
    now.rlim_cur = static_cast<rlim_t>(next);
    setrlimit(RLIMIT_NOFILE, &now);
  }
  ~no_descriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  no_descriptors(const no_descriptors&) = delete;
  no_descriptors& operator=(const no_descriptors&) = delete;

 private:
  rlimit before_{};
};

TEST(tcp, accepting_goes_on_after_descriptors_ran_out) {
  on_a_link([](link& over) -> task<void> {
    tcp_stream here = (co_await tcp_stream::connect(over.loop, "127.0.0.1", over.listener.port())).value();
    {
      const no_descriptors left;
      const std::uint64_t before = over.loop.turns();
      EXPECT_EQ((co_await over.listener.accept(deadline::after(350ms))).error().kind, io_errc::timeout);
      EXPECT_LE(over.loop.turns() - before, 40U) << "it spins";
      const auto made = co_await tcp_stream::connect(over.loop, "127.0.0.1", over.listener.port());
      EXPECT_FALSE(made);
      if (!made) EXPECT_EQ(made.error().kind, io_errc::too_many_files);
    }
    // While it waits for descriptors they come back.
    std::optional<no_descriptors> left;
    left.emplace();
    co_await with_scope([&](scope& s) -> task<void> {
      s.spawn([](event_loop& loop, std::optional<no_descriptors>& limit) -> task<void> {
        co_await loop.sleep_for(20ms);
        limit.reset();
      }(over.loop, left));
      const auto there = co_await over.listener.accept(deadline::after(1min));
      EXPECT_TRUE(there);
    });
  });
}

// --- many, and others ---

task<void> accept_and_echo(tcp_listener& listener, scope& children) {
  for (;;) {
    auto got = co_await listener.accept();
    if (!got) co_return;
    children.spawn(echo(std::move(*got)));
  }
}

TEST(tcp, two_thousand_connections_at_once) {
  event_loop loop;
  link over{loop};
  constexpr std::size_t clients = 2000;
  std::size_t answered = 0;
  std::size_t open = 0;
  auto client = [&](std::size_t number) -> task<void> {
    tcp_stream stream = (co_await tcp_stream::connect(loop, "127.0.0.1", over.listener.port())).value();
    ++open;
    while (open < clients) co_await loop.sleep_for(1ms);  // all are connected before the first speaks
    for (int round = 0; round < 3; ++round) {
      const std::string question = std::to_string(number) + '/' + std::to_string(round);
      EXPECT_TRUE(co_await stream.write_all(bytes(question)));
      EXPECT_EQ(co_await read_exactly(stream, question.size()), question);
    }
    if (++answered == clients) over.listener.close();
  };
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  loop.run(with_scope([&](scope& s) -> task<void> {
    s.spawn(accept_and_echo(over.listener, s));
    for (std::size_t i = 0; i < clients; ++i) s.spawn(client(i));
    co_return;
  }));
  EXPECT_EQ(answered, clients);
  EXPECT_EQ(waiting_for(resource_kind::socket), 0U);
}

TEST(tcp, a_busy_stream_does_not_starve_the_rest) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    ends.here.close();
    bool rang = false;
    co_await with_scope([&](scope& s) -> task<void> {
      s.spawn([](event_loop& loop, bool& flag) -> task<void> {
        co_await loop.sleep_for(5ms);
        flag = true;
      }(over.loop, rang));
      std::array<std::byte, 8> buffer;
      while (!rang) EXPECT_EQ((co_await ends.there.read_some(buffer)).value(), 0U);  // always ready
    });
  });
}

TEST(tcp, a_task_that_never_has_to_wait_is_stopped_all_the_same) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    ends.here.close();
    co_await with_scope(
        [&](scope& s) -> task<void> {
          s.spawn([](tcp_stream& from) -> task<void> {
            std::array<std::byte, 8> buffer;
            for (;;) (void)co_await from.read_some(buffer);
          }(ends.there));
          co_await over.loop.sleep_for(5ms);
          s.stop();
        },
        scope_policy::collect_all);
  });
}

TEST(tcp, idle_connections_cost_no_wake_ups) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    co_await with_scope([&](scope& s) -> task<void> {
      s.spawn([](tcp_stream& from) -> task<void> { (void)co_await read_to_end(from); }(ends.there));
      co_await over.loop.sleep_for(5ms);
      const std::uint64_t before = over.loop.turns();
      co_await over.loop.sleep_for(200ms);
      EXPECT_LE(over.loop.turns() - before, 9U);
      ends.here.close();
    });
  });
}

TEST(tcp, tasks_of_other_executors_can_use_a_stream) {
  event_loop loop;
  std::thread runner{[&] { loop.run(); }};
  {
    link over{loop};
    constexpr std::size_t size = 3'000'000;
    auto client = [&]() -> task<void> {
      tcp_stream stream = (co_await tcp_stream::connect(loop, "127.0.0.1", over.listener.port())).value();
      std::array<std::byte, 8> buffer;
      EXPECT_EQ((co_await stream.read_some(buffer, deadline::after(20ms))).error().kind, io_errc::timeout);
      co_await send_pattern(stream, size);
    };
    auto server = [&]() -> task<std::size_t> {
      tcp_stream stream = (co_await over.listener.accept()).value();
      const std::size_t counted = co_await count_pattern(stream);
      co_return counted;
    };
    std::size_t counted = 0;
    std::thread serving{[&] { counted = sync_wait(server()); }};
    sync_wait(client());
    serving.join();
    EXPECT_EQ(counted, size);
  }
  loop.stop();
  runner.join();
}

// --- misuse ---

TEST_F(tcp_misuse, destroying_a_stream_under_a_reader_is_fatal) {
  EXPECT_DEATH(on_a_link([](link& over) -> task<void> {
                 std::optional<pair> ends{co_await over.connect()};
                 co_await with_scope([&](scope& s) -> task<void> {
                   s.spawn(echo(std::move(ends->there)));
                   s.spawn([](tcp_stream& from) -> task<void> { (void)co_await read_to_end(from); }(ends->here));
                   co_await over.loop.sleep_for(5ms);
                   ends.reset();
                 });
               }),
               "destroyed while a task waits for it");
}

TEST_F(tcp_misuse, two_readers_at_once_are_fatal) {
  EXPECT_DEATH(on_a_link([](link& over) -> task<void> {
                 pair ends = co_await over.connect();
                 co_await with_scope([&](scope& s) -> task<void> {
                   for (int i = 0; i < 2; ++i) {
                     s.spawn([](tcp_stream& from) -> task<void> { (void)co_await read_to_end(from); }(ends.here));
                   }
                   co_return;
                 });
               }),
               "two tasks wait at once to read");
}

TEST_F(tcp_misuse, destroying_a_listener_under_an_acceptor_is_fatal) {
  EXPECT_DEATH(on_a_link([](link& over) -> task<void> {
                 co_await with_scope([&](scope& s) -> task<void> {
                   s.spawn([](link& on) -> task<void> { (void)co_await on.listener.accept(); }(over));
                   co_await over.loop.sleep_for(5ms);
                   over.listener = tcp_listener{};
                 });
               }),
               "destroyed while a task waits for it");
}

}  // namespace
}  // namespace heddle::io
