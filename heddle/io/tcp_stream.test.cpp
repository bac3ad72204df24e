#include <heddle/io/internal/tcp_trial.hpp>
#include <heddle/io/internal/wait_trial.hpp>
#include <heddle/task/scope.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace heddle::io {
namespace {

using namespace std::chrono_literals;

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
            EXPECT_NE(wait->site.find("tcp_stream.test.cpp:"), std::string::npos) << wait->site;
          }
          s.stop();
        },
        scope_policy::collect_all);
  });
}

}  // namespace
}  // namespace heddle::io
