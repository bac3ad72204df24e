// Exponential back-off with full jitter: those who collided do not collide again.

#include <heddle/sync/backoff.hpp>
#include <heddle/task/sleep.hpp>
#include <heddle/task/sync_wait.hpp>

#include <fmt/core.h>

#include <chrono>

using namespace std::chrono_literals;

int calls = 0;

bool unreliable_service() { return ++calls == 6; }

// [backoff]
heddle::task<bool> call_with_backoff() {
  heddle::backoff pauses{{.first = 1ms, .most = 50ms, .attempts = 10}};
  while (!unreliable_service()) {
    const auto pause = pauses.next();
    if (!pause) co_return false;  // the budget is spent
    co_await heddle::sleep_for(*pause);
  }
  co_return true;
}
// [/backoff]

int main() {
  const auto begin = std::chrono::steady_clock::now();
  const bool answered = heddle::sync_wait(call_with_backoff());
  const auto took = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  fmt::print("back-off: answered at attempt {} after {:.1f} ms of jittered pauses\n", calls, took);
  return answered && calls == 6 ? 0 : 1;
}
