#include <heddle/io/internal/wait_trial.hpp>
#include <heddle/io/tcp_listener.hpp>
#include <heddle/io/tcp_stream.hpp>
#include <heddle/task/scope.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/this_task.hpp>
#include <tests/support/misuse.hpp>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace heddle::io {
namespace {

using namespace std::chrono_literals;
using tcp_misuse = test::misuse;

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span{text}); }

struct pair {
  tcp_stream here;
  tcp_stream there;
};

// A listener, and two ends of a connection through it.
struct link {
  explicit link(event_loop& on) : loop{on}, listener{tcp_listener::bind(on, "127.0.0.1", 0).value()} {}

  task<pair> connect() {
    tcp_stream here = (co_await tcp_stream::connect(loop, "127.0.0.1", listener.port())).value();
    tcp_stream there = (co_await listener.accept()).value();
    co_return pair{std::move(here), std::move(there)};
  }

  event_loop& loop;
  tcp_listener listener;
};

// Reads until the other side has ended.
task<std::string> read_to_end(tcp_stream& from) {
  std::string all;
  std::array<char, 4096> buffer;
  for (;;) {
    const auto got = co_await from.read_some(std::as_writable_bytes(std::span{buffer}));
    if (!got) throw std::runtime_error{got.error().text()};
    if (*got == 0) co_return all;
    all.append(buffer.data(), *got);
  }
}

// Reads exactly so much.
task<std::string> read_exactly(tcp_stream& from, std::size_t size) {
  std::string all(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const auto got = co_await from.read_some(std::as_writable_bytes(std::span{all}.subspan(have)));
    if (!got || *got == 0) throw std::runtime_error{"the stream ended early"};
    have += *got;
  }
  co_return all;
}

task<void> echo(tcp_stream stream) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const auto got = co_await stream.read_some(buffer);
    if (!got || *got == 0) co_return;
    if (!co_await stream.write_all(std::span{buffer}.first(*got))) co_return;
  }
}

template <class Body>
void on_a_link(Body body) {
  event_loop loop;
  link over{loop};
  loop.run(body(over));
}

// --- reading and writing ---

TEST(tcp, what_is_written_is_read) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    EXPECT_TRUE(co_await ends.here.write_all(bytes("hello")));
    EXPECT_EQ(co_await read_exactly(ends.there, 5), "hello");
    EXPECT_TRUE(co_await ends.there.write_all(bytes("and back")));
    EXPECT_EQ(co_await read_exactly(ends.here, 8), "and back");
    EXPECT_EQ(ends.here.peer(), ends.there.local());
    EXPECT_EQ(ends.here.peer(), "127.0.0.1:" + std::to_string(over.listener.port()));
  });
}

TEST(tcp, a_waiting_read_goes_on_when_bytes_come) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    std::string got;
    co_await with_scope([&](scope& s) -> task<void> {
      s.spawn([](tcp_stream& from, std::string& into) -> task<void> { into = co_await read_exactly(from, 6); }(
                                                          ends.there, got));
      co_await over.loop.sleep_for(5ms);
      EXPECT_EQ(waiting_for(resource_kind::socket), 1U);
      EXPECT_TRUE(co_await ends.here.write_all(bytes("one")));
      co_await over.loop.sleep_for(5ms);
      EXPECT_TRUE(co_await ends.here.write_all(bytes("two")));
    });
    EXPECT_EQ(got, "onetwo");
  });
}

TEST(tcp, several_buffers_are_written_as_one) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    std::vector<std::string> texts;
    for (int i = 0; i < 100; ++i) texts.push_back(i % 7 == 0 ? "" : std::to_string(i) + ',');
    std::vector<std::span<const std::byte>> pieces;
    std::string all;
    for (const std::string& text : texts) {
      pieces.push_back(bytes(text));
      all += text;
    }
    EXPECT_TRUE(co_await ends.here.write_all(pieces));
    EXPECT_TRUE(co_await ends.here.write_all(std::span<const std::span<const std::byte>>{}));
    EXPECT_TRUE(ends.here.shutdown_write());
    EXPECT_EQ(co_await read_to_end(ends.there), all);
  });
}

// The byte that stands at this place of a long stream.
std::byte pattern(std::size_t at) { return static_cast<std::byte>((at * 2654435761U) >> 13); }

task<void> send_pattern(tcp_stream& to, std::size_t size) {
  std::vector<std::byte> chunk(300'000);
  for (std::size_t at = 0; at < size;) {
    const std::size_t step = std::min(chunk.size(), size - at);
    for (std::size_t i = 0; i < step; ++i) chunk[i] = pattern(at + i);
    EXPECT_TRUE(co_await to.write_all(std::span{chunk}.first(step)));
    at += step;
  }
  EXPECT_TRUE(to.shutdown_write());
}

task<std::size_t> count_pattern(tcp_stream& from) {
  std::vector<std::byte> buffer(10'000);
  std::size_t at = 0;
  for (;;) {
    const auto got = co_await from.read_some(buffer);
    if (!got || *got == 0) co_return at;
    for (std::size_t i = 0; i < *got; ++i) {
      if (buffer[i] != pattern(at + i)) throw std::runtime_error{"a wrong byte at " + std::to_string(at + i)};
    }
    at += *got;
    if (at % 3 == 0) co_await this_task::yield();
  }
}

TEST(tcp, a_big_transfer_arrives_whole_under_back_pressure) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    constexpr std::size_t size = 30'000'000;
    std::size_t counted = 0;
    co_await with_scope([&](scope& s) -> task<void> {
      s.spawn(send_pattern(ends.here, size));
      counted = co_await count_pattern(ends.there);
    });
    EXPECT_EQ(counted, size);
  });
}

TEST(tcp, one_task_reads_while_another_writes) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    constexpr std::size_t size = 5'000'000;
    std::array<std::size_t, 2> counted{};
    co_await with_scope([&](scope& s) -> task<void> {
      s.spawn(send_pattern(ends.here, size));
      s.spawn(send_pattern(ends.there, size));
      s.spawn([](tcp_stream& from, std::size_t& into) -> task<void> { into = co_await count_pattern(from); }(
                                                          ends.here, counted[0]));
      counted[1] = co_await count_pattern(ends.there);
    });
    EXPECT_EQ(counted[0], size);
    EXPECT_EQ(counted[1], size);
  });
}

TEST(tcp, an_empty_buffer_is_refused) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    const auto got = co_await ends.here.read_some({});
    EXPECT_FALSE(got);
    EXPECT_EQ(got.error().kind, io_errc::other);
  });
}

// --- ends of a stream ---

TEST(tcp, half_close_lets_the_answer_through) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    EXPECT_TRUE(co_await ends.here.write_all(bytes("question")));
    EXPECT_TRUE(ends.here.shutdown_write());
    EXPECT_EQ(co_await read_to_end(ends.there), "question");
    std::array<std::byte, 8> buffer;
    EXPECT_EQ((co_await ends.there.read_some(buffer)).value(), 0U);  // and again
    EXPECT_TRUE(co_await ends.there.write_all(bytes("answer")));
    ends.there.close();
    EXPECT_EQ(co_await read_to_end(ends.here), "answer");
  });
}

TEST(tcp, the_end_that_comes_with_the_last_bytes_is_not_lost) {
  on_a_link([](link& over) -> task<void> {
    for (int round = 0; round < 200; ++round) {
      pair ends = co_await over.connect();
      EXPECT_TRUE(co_await ends.here.write_all(bytes("last words")));
      ends.here.close();
      if (round % 2 == 0) co_await this_task::yield();
      EXPECT_EQ(co_await read_to_end(ends.there), "last words");
    }
  });
}

TEST(tcp, a_reset_is_told_to_the_reader) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    std::optional<io_error> error;
    co_await with_scope([&](scope& s) -> task<void> {
      s.spawn([](tcp_stream& from, std::optional<io_error>& into) -> task<void> {
        std::array<std::byte, 8> buffer;
        const auto got = co_await from.read_some(buffer);
        if (!got) into = got.error();
      }(ends.there, error));
      co_await over.loop.sleep_for(5ms);
      ends.here.abort();
    });
    EXPECT_TRUE(error.has_value());
    if (error) EXPECT_EQ(error->kind, io_errc::reset) << error->text();
    const auto wrote = co_await ends.there.write_all(bytes("into the void"));
    EXPECT_FALSE(wrote);
    if (!wrote) EXPECT_EQ(wrote.error().kind, io_errc::reset) << wrote.error().text();
  });
}

TEST(tcp, a_reset_is_told_to_a_blocked_writer) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    const std::vector<std::byte> much(50'000'000);
    co_await with_scope([&](scope& s) -> task<void> {
      s.spawn([](event_loop& loop, tcp_stream& other) -> task<void> {
        co_await loop.sleep_for(20ms);
        other.abort();
      }(over.loop, ends.there));
      const auto wrote = co_await ends.here.write_all(much);
      EXPECT_FALSE(wrote);
      if (!wrote) EXPECT_EQ(wrote.error().kind, io_errc::reset);
      if (!wrote) EXPECT_GT(wrote.error().transferred, 0U);
    });
  });
}

TEST(tcp, closing_wakes_the_reader) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    co_await with_scope([&](scope& s) -> task<void> {
      s.spawn([](event_loop& loop, tcp_stream& stream) -> task<void> {
        co_await loop.sleep_for(5ms);
        stream.close();
      }(over.loop, ends.here));
      std::array<std::byte, 8> buffer;
      const auto got = co_await ends.here.read_some(buffer);
      EXPECT_FALSE(got);
      if (!got) EXPECT_EQ(got.error().kind, io_errc::closed);
    });
    EXPECT_FALSE(ends.here.is_open());
    EXPECT_TRUE(ends.here.peer().empty());
    const auto late = co_await ends.here.write_all(bytes("too late"));
    EXPECT_EQ(late.error().kind, io_errc::closed);
    EXPECT_EQ(ends.here.shutdown_write().error().kind, io_errc::closed);
  });
}

TEST(tcp, a_stream_that_was_never_open_is_closed) {
  event_loop loop;
  auto body = []() -> task<void> {
    tcp_stream none;
    std::array<std::byte, 8> buffer;
    EXPECT_EQ((co_await none.read_some(buffer)).error().kind, io_errc::closed);
    EXPECT_EQ((co_await none.write_all(bytes("x"))).error().kind, io_errc::closed);
    tcp_listener nowhere;
    EXPECT_EQ((co_await nowhere.accept()).error().kind, io_errc::closed);
  };
  loop.run(body());
}

// --- deadlines and stops ---

TEST(tcp, a_timeout_leaves_no_waiter_behind) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    std::array<std::byte, 8> buffer;
    const deadline when = deadline::after(20ms);
    const auto got = co_await ends.here.read_some(buffer, when);
    EXPECT_TRUE(when.has_passed());
    EXPECT_EQ(got.error().kind, io_errc::timeout);
    EXPECT_EQ(waiting_for(resource_kind::socket), 0U);
    const auto late = co_await ends.here.read_some(buffer, when);  // has passed before it began
    EXPECT_EQ(late.error().kind, io_errc::timeout);
  });
}

TEST(tcp, a_read_that_timed_out_has_consumed_nothing) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    std::array<std::byte, 8> buffer;
    EXPECT_EQ((co_await ends.there.read_some(buffer, deadline::after(5ms))).error().kind, io_errc::timeout);
    EXPECT_TRUE(co_await ends.here.write_all(bytes("whole")));
    EXPECT_EQ(co_await read_exactly(ends.there, 5), "whole");
  });
}

TEST(tcp, what_is_there_is_read_even_if_the_deadline_has_passed) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    EXPECT_TRUE(co_await ends.here.write_all(bytes("there")));
    co_await over.loop.sleep_for(5ms);
    std::array<std::byte, 8> buffer;
    EXPECT_EQ((co_await ends.there.read_some(buffer, deadline::at_ns(1))).value(), 5U);
  });
}

TEST(tcp, a_stop_leaves_no_waiter_behind) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    std::stop_source source;
    std::thread stopper{[&] {
      EXPECT_TRUE(eventually([] { return waiting_for(resource_kind::socket) == 1; }));
      source.request_stop();
    }};
    std::array<std::byte, 8> buffer;
    const auto got = co_await ends.here.read_some(buffer, {}, source.get_token());
    stopper.join();
    EXPECT_EQ(got.error().kind, io_errc::stopped);
    EXPECT_EQ(waiting_for(resource_kind::socket), 0U);
    EXPECT_EQ((co_await ends.here.read_some(buffer, {}, source.get_token())).error().kind, io_errc::stopped);
  });
}

TEST(tcp, the_stop_of_its_context_unwinds_a_reader) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    bool went_on = false;
    bool unwound = false;
    co_await with_scope(
        [&](scope& s) -> task<void> {
          s.spawn([](tcp_stream& from, bool& after, bool& destroyed) -> task<void> {
            struct guard {
              bool& flag;
              ~guard() { flag = true; }
            };
            const guard at_end{destroyed};
            std::array<std::byte, 8> buffer;
            (void)co_await from.read_some(buffer, deadline::after(1h));
            after = true;
          }(ends.here, went_on, unwound));
          co_await over.loop.sleep_for(5ms);
          s.stop();
        },
        scope_policy::collect_all);
    EXPECT_FALSE(went_on);
    EXPECT_TRUE(unwound);
    EXPECT_EQ(waiting_for(resource_kind::socket), 0U);
  });
}

TEST(tcp, a_write_that_timed_out_says_how_much_was_written) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    const std::string much(40'000'000, 'x');
    const auto wrote = co_await ends.here.write_all(bytes(much), deadline::after(50ms));
    EXPECT_FALSE(wrote);
    if (wrote) co_return;
    EXPECT_EQ(wrote.error().kind, io_errc::timeout);
    EXPECT_GT(wrote.error().transferred, 0U);
    EXPECT_LT(wrote.error().transferred, much.size());
    ends.here.close();
    EXPECT_EQ((co_await read_to_end(ends.there)).size(), wrote.error().transferred);
  });
}

// Reads all, although every read may be ended early by a deadline or by a stop from another thread.
task<std::size_t> count_pattern_with_interruptions(tcp_stream& from, std::atomic<std::stop_source*>& current,
                                                   std::size_t& interruptions) {
  std::vector<std::byte> buffer(1000);
  std::size_t at = 0;
  for (;;) {
    std::stop_source source;
    current.store(&source);
    const auto got = co_await from.read_some(buffer, deadline::after(300us), source.get_token());
    while (current.exchange(nullptr) == nullptr) std::this_thread::yield();  // the other thread is using it
    if (!got) {
      EXPECT_TRUE(got.error().kind == io_errc::timeout || got.error().kind == io_errc::stopped);
      ++interruptions;
      continue;
    }
    if (*got == 0) co_return at;
    for (std::size_t i = 0; i < *got; ++i) {
      if (buffer[i] != pattern(at + i)) throw std::runtime_error{"a wrong byte at " + std::to_string(at + i)};
    }
    at += *got;
  }
}

TEST(tcp, stops_and_deadlines_that_race_with_bytes_lose_none) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    std::atomic<std::stop_source*> current{nullptr};
    std::atomic<bool> done{false};
    std::thread stopper{[&] {
      while (!done.load()) {
        if (std::stop_source* source = current.exchange(nullptr); source != nullptr) {
          source->request_stop();
          current.store(source);
        }
        std::this_thread::yield();
      }
    }};
    constexpr std::size_t rounds = 2000;
    constexpr std::size_t step = 500;
    std::size_t interruptions = 0;
    std::size_t counted = 0;
    co_await with_scope([&](scope& s) -> task<void> {
      s.spawn([](link& on, tcp_stream& to) -> task<void> {
        std::array<std::byte, step> chunk;
        for (std::size_t round = 0; round < rounds; ++round) {
          for (std::size_t i = 0; i < step; ++i) chunk[i] = pattern(round * step + i);
          EXPECT_TRUE(co_await to.write_all(chunk));
          if (round % 50 == 0) co_await on.loop.sleep_for(1ms);
          co_await this_task::yield();
        }
        EXPECT_TRUE(to.shutdown_write());
      }(over, ends.here));
      counted = co_await count_pattern_with_interruptions(ends.there, current, interruptions);
    });
    done.store(true);
    stopper.join();
    EXPECT_EQ(counted, rounds * step);
    EXPECT_GT(interruptions, 0U);
  });
}

TEST(tcp, a_waiting_read_shows_in_the_snapshot) {
  on_a_link([](link& over) -> task<void> {
    pair ends = co_await over.connect();
    co_await with_scope(
        [&](scope& s) -> task<void> {
          s.spawn(
              [](tcp_stream& from) -> task<void> {
                std::array<std::byte, 8> buffer;
                (void)co_await from.read_some(buffer, deadline::after(1h));
              }(ends.here),
              "reader");
          co_await over.loop.sleep_for(5ms);
          const park::snapshot all = park::snapshot::take();
          const auto wait = std::ranges::find(all.waits, resource_kind::socket, &park::wait_info::waits_for);
          EXPECT_NE(wait, all.waits.end());
          if (wait != all.waits.end()) {
            EXPECT_EQ(wait->name, "reader");
            EXPECT_EQ(wait->resource_name, "tcp stream");
            EXPECT_TRUE(wait->until.has_value());
            EXPECT_NE(wait->site.find("tcp.test.cpp"), std::string::npos) << wait->site;
          }
          s.stop();
        },
        scope_policy::collect_all);
  });
}

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
