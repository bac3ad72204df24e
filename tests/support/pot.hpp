#pragma once

#include <heddle/sync/wait_queue.hpp>
#include <heddle/task/task.hpp>

#include <thread>
#include <vector>

namespace heddle::test {

/// Things to take, in which tests see who asked and who took.
struct pot {
  wait_queue where{"pot"};
  // Under its lock.
  int things = 0;
  int asked = 0;
  std::vector<char> takers;

  bool take(char who, int n = 1) {
    ++asked;
    if (things < n) return false;
    things -= n;
    takers.push_back(who);
    return true;
  }
  auto taking(char who, int n = 1) {
    return [=, this] { return take(who, n); };
  }
  void put(int n = 1) {
    where.wake_one([=, this] { things += n; });
  }
  template <class Field>
  Field seen(Field pot::* field) {
    Field copy{};
    where.try_wait([&] {
      copy = this->*field;
      return true;
    });
    return copy;
  }

  std::jthread taker(char who, int n = 1) {
    return std::jthread{[=, this] { where.wait(taking(who, n)); }};
  }
  task<void> taker_task(char who, int n = 1) { co_await where.async_wait(taking(who, n)); }
};

}  // namespace heddle::test
