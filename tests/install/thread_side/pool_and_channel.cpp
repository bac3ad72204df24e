// uses: heddle-exec heddle-channel
#include <heddle/channel/channel.hpp>
#include <heddle/exec/thread_pool.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

bool pool_answers() {
  heddle::thread_pool pool{{.threads = 2}};
  std::vector<heddle::future<int>> answers;
  for (int i = 0; i < 1'000; ++i) answers.push_back(pool.submit([i] { return i; }));
  int sum = 0;
  for (auto& answer : answers) sum += answer.get();
  return sum == 499'500;
}

bool pool_carries_exceptions() {
  heddle::thread_pool pool{{.threads = 1}};
  auto answer = pool.submit([]() -> int { throw std::runtime_error{"no"}; });
  try {
    (void)answer.get();
  } catch (const std::runtime_error& error) {
    return std::string{error.what()} == "no";
  }
  return false;
}

bool channel_carries_and_drains() {
  constexpr int items = 10'000;
  heddle::channel<std::string> lines{8};
  std::thread sender{[&] {
    for (int i = 0; i < items; ++i) (void)lines.send(std::to_string(i));
    lines.close();
  }};
  int received = 0;
  bool in_order = true;
  while (auto line = lines.recv()) in_order &= *line == std::to_string(received++);
  sender.join();
  auto refused = lines.send("late");
  return in_order && received == items && !refused && refused.error().why == heddle::wait_error::closed &&
         refused.error().value == "late";
}

bool say(const char* what, bool held) {
  std::printf("%s: %s\n", what, held ? "yes" : "NO");
  return held;
}

}  // namespace

int main() {
  const bool all = say("a pool answers", pool_answers()) & say("it carries exceptions", pool_carries_exceptions()) &
                   say("a channel carries in order and drains", channel_carries_and_drains());
  return all ? 0 : 1;
}
