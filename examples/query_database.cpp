// A semaphore: at most three queries at a time, however many ask.

#include <heddle/sync/semaphore.hpp>
#include <heddle/task/sleep.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/when_all.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <vector>

using namespace std::chrono_literals;

// [query_database]
heddle::semaphore connections{3, "connections"};
int inside = 0;
int most = 0;

heddle::task<void> query_database() {
  const auto connection = co_await connections.async_acquire();
  most = std::max(most, ++inside);
  co_await heddle::sleep_for(10ms);  // the query
  --inside;
}
// [/query_database]

heddle::task<void> query_all(int count) {
  std::vector<heddle::task<void>> queries;
  queries.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) queries.push_back(query_database());
  co_await heddle::when_all(std::move(queries));
}

int main() {
  heddle::sync_wait(query_all(20));
  fmt::print("semaphore: 20 queries, {} permits, at most {} inside at once\n", connections.available(), most);
  return most == 3 ? 0 : 1;
}
