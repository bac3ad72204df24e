// A deadline ends a wait, and the task that waited is gone when the caller goes on.

#include <heddle/task/sleep.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/with_timeout.hpp>

#include <fmt/core.h>

#include <chrono>

using namespace std::chrono_literals;

// [timeout]
heddle::task<int> slow_answer() {
  co_await heddle::sleep_for(10s);
  co_return 42;
}

heddle::task<bool> is_late() {
  const auto answer = co_await heddle::with_timeout(slow_answer(), heddle::deadline::after(50ms));
  co_return !answer.has_value() && answer.error() == heddle::wait_error::timeout;
}
// [/timeout]

int main() {
  const auto begin = std::chrono::steady_clock::now();
  const bool late = heddle::sync_wait(is_late());
  const auto took = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  fmt::print("timeout: a wait of 10 s ended after {:.1f} ms\n", took);
  return late && took >= 50 ? 0 : 1;
}
