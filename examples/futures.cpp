// Futures: a thread waits for what a task computes, the next step is chained, and what nobody wants any more is stopped.

#include <heddle/exec/thread_pool.hpp>
#include <heddle/task/future.hpp>
#include <heddle/task/sleep.hpp>
#include <heddle/task/start_on.hpp>
#include <heddle/task/sync_wait.hpp>

#include <fmt/core.h>

#include <chrono>
#include <string>

using namespace std::chrono_literals;

// [then]
std::string label(heddle::thread_pool& pool) {
  heddle::future<int> weighed = pool.submit([] { return 7; });
  heddle::future<std::string> labelled =
      std::move(weighed).then(pool, [](int kilograms) { return fmt::format("{} kg", kilograms); });
  return labelled.get();  // a thread blocks; a task would write: co_await std::move(labelled)
}
// [/then]

// [cancel]
heddle::task<int> slow_search() {
  co_await heddle::sleep_for(1h);
  co_return 1;
}

bool is_stopped(heddle::thread_pool& pool) {
  heddle::future<int> found = heddle::start_on(pool, slow_search());
  found.cancel();  // the task unwinds, its destructors run
  try {
    (void)found.get();
  } catch (const heddle::task_stopped&) {
    return true;
  }
  return false;
}
// [/cancel]

// [shared]
heddle::task<int> reader(heddle::shared_future<int> price) { co_return co_await price; }

int all_read_the_same(heddle::thread_pool& pool) {
  heddle::promise<int> asked;
  const heddle::shared_future<int> price = asked.get_future().share();
  heddle::future<int> one = heddle::start_on(pool, reader(price));
  heddle::future<int> other = heddle::start_on(pool, reader(price));
  asked.set_value(12);
  return one.get() + other.get() + price.get();
}
// [/shared]

int main() {
  heddle::thread_pool pool{{.threads = 2}};
  const std::string text = label(pool);
  const bool stopped = is_stopped(pool);
  const int sum = all_read_the_same(pool);
  fmt::print("futures: chained '{}', a search of an hour was {}, three readers of one price add up to {}\n", text,
             stopped ? "stopped" : "not stopped", sum);
  return text == "7 kg" && stopped && sum == 36 ? 0 : 1;
}
