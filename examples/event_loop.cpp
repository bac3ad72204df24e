// An event loop: ten thousand tasks and their timers on one thread.

#include <heddle/io/event_loop.hpp>
#include <heddle/task/scope.hpp>

#include <fmt/core.h>

#include <chrono>
#include <set>
#include <thread>

using namespace std::chrono_literals;

heddle::io::event_loop loop{"example"};
std::set<std::thread::id> threads;
int finished = 0;

// [event_loop]
heddle::task<void> handle_connection(int number) {
  co_await loop.sleep_for(std::chrono::milliseconds{number % 100});
  threads.insert(std::this_thread::get_id());
  ++finished;
}

heddle::task<void> serve() {
  co_await heddle::with_scope([](heddle::scope& connections) -> heddle::task<void> {
    for (int i = 0; i < 10'000; ++i) connections.spawn(handle_connection(i));
    co_return;
  });
}
// [/event_loop]

int main() {
  const auto begin = std::chrono::steady_clock::now();
  loop.run(serve());
  const auto took = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  fmt::print("event loop: {} tasks slept up to 99 ms on {} thread(s), all done after {:.1f} ms\n", finished,
             threads.size(), took);
  return finished == 10'000 && threads.size() == 1 ? 0 : 1;
}
