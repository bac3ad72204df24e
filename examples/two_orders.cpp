// A deadlock: a thread and a task take two locks in opposite orders. It is told in one sentence, then broken by a stop.

#include <heddle/sync/mutex.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/watch/waits.hpp>

#include <fmt/core.h>

#include <chrono>
#include <latch>
#include <string>
#include <thread>

using namespace std::chrono_literals;

// [two_orders]
heddle::mutex accounts{"accounts"};
heddle::mutex ledger{"ledger"};
std::latch both_hold_one{2};

void accounts_then_ledger() {
  const std::lock_guard first{accounts};
  both_hold_one.arrive_and_wait();
  const std::lock_guard second{ledger};
}

heddle::task<void> ledger_then_accounts() {
  const auto first = co_await ledger.async_lock();
  both_hold_one.arrive_and_wait();
  const auto second = co_await accounts.async_lock();
}
// [/two_orders]

int main() {
  std::stop_source breaker;
  bool task_was_stopped = false;
  std::thread thread{accounts_then_ledger};
  std::thread task_thread{[&] {
    task_was_stopped = heddle::sync_wait_outcome(ledger_then_accounts(), {breaker.get_token(), {}}).is_stopped();
  }};

  const auto begin = std::chrono::steady_clock::now();
  const auto limit = heddle::deadline::after(10s);
  std::string sentence;
  while (sentence.empty() && !limit.has_passed()) {
    const auto report = heddle::watch::waits();
    if (!report.deadlocks.empty()) sentence = report.deadlocks.front().sentence;
  }
  const auto told_after = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();

  breaker.request_stop();  // the task unwinds and gives its lock back, so the thread goes on
  thread.join();
  task_thread.join();
  fmt::print("deadlock: told after {:.1f} ms, then broken: {}\n", told_after, sentence);
  return !sentence.empty() && task_was_stopped ? 0 : 1;
}
