// Gather: several fetches at once; the time is the longest, not the sum, and the results come in order.

#include <heddle/io/event_loop.hpp>
#include <heddle/task/when_all.hpp>

#include <fmt/core.h>

#include <chrono>
#include <string>

using namespace std::chrono_literals;

heddle::io::event_loop loop{"example"};

// [fetch_user]
heddle::task<std::string> fetch_user(int id) {
  co_await loop.sleep_for(100ms);  // the network
  co_return "user " + std::to_string(id);
}

heddle::task<std::string> fetch_all() {
  const auto [first, second, third] = co_await heddle::when_all(fetch_user(1), fetch_user(2), fetch_user(3));
  co_return first + ", " + second + ", " + third;
}
// [/fetch_user]

int main() {
  const auto begin = std::chrono::steady_clock::now();
  const std::string users = loop.run(fetch_all());
  const auto took = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  fmt::print("gather: {} fetched in {:.0f} ms, one after another would be 300 ms\n", users, took);
  return users == "user 1, user 2, user 3" && took < 250 ? 0 : 1;
}
