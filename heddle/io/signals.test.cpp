#include <heddle/io/internal/wait_trial.hpp>
#include <heddle/io/signals.hpp>
#include <heddle/task/scope.hpp>

#include <gtest/gtest.h>
#include <sys/types.h>
#include <unistd.h>

#include <csignal>
#include <thread>

namespace heddle::io {
namespace {

using namespace std::chrono_literals;

// To the thread that runs the loop, which has blocked it: others of the process might not have.
void send(int signal) { pthread_kill(pthread_self(), signal); }

template <class Body>
void with_signals(Body body) {
  event_loop loop;
  signal_set signals{loop, {SIGUSR1, SIGUSR2}};
  loop.run(body(loop, signals));
}

TEST(signal_set, a_signal_wakes_the_task) {
  with_signals([](event_loop& loop, signal_set& signals) -> task<void> {
    co_await with_scope([&](scope& s) -> task<void> {
      s.spawn([](event_loop& on) -> task<void> {
        co_await on.sleep_for(5ms);
        send(SIGUSR1);
        co_await on.sleep_for(5ms);
        send(SIGUSR2);
      }(loop));
      EXPECT_EQ((co_await signals.next()).value(), SIGUSR1);
      EXPECT_EQ((co_await signals.next()).value(), SIGUSR2);
    });
  });
}

TEST(signal_set, keeps_what_came_early) {
  with_signals([](event_loop&, signal_set& signals) -> task<void> {
    send(SIGUSR1);
    send(SIGUSR1);
    EXPECT_EQ((co_await signals.next(deadline::after(10s))).value(), SIGUSR1);
    EXPECT_EQ((co_await signals.next(deadline::after(5ms))).error().kind, io_errc::timeout);
    send(SIGUSR1);
    EXPECT_EQ((co_await signals.next(deadline::after(10s))).value(), SIGUSR1);
  });
}

TEST(signal_set, a_waiting_task_shows_in_the_snapshot) {
  with_signals([](event_loop& loop, signal_set& signals) -> task<void> {
    co_await with_scope(
        [&](scope& s) -> task<void> {
          s.spawn([](signal_set& from) -> task<void> { (void)co_await from.next(); }(signals));
          co_await loop.sleep_for(5ms);
          EXPECT_EQ(waiting_for(resource_kind::signal), 1U);
          s.stop();
        },
        scope_policy::collect_all);
    EXPECT_EQ(waiting_for(resource_kind::signal), 0U);
  });
}

TEST(signal_set, gives_the_signals_back_without_their_pending_ones) {
  static volatile std::sig_atomic_t handled = 0;
  handled = 0;
  std::signal(SIGUSR1, [](int) { handled = handled + 1; });
  {
    event_loop loop;
    const signal_set signals{loop, {SIGUSR1}};
    send(SIGUSR1);
  }
  EXPECT_EQ(handled, 0);
  send(SIGUSR1);
  EXPECT_EQ(handled, 1);
  std::signal(SIGUSR1, SIG_DFL);
}

}  // namespace
}  // namespace heddle::io
