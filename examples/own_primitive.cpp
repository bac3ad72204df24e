// A primitive of one's own, on a wait_queue: a bounded counter, for threads and tasks, with deadlines and stops.

#include <heddle/sync/wait_queue.hpp>
#include <heddle/task/sync_wait.hpp>
#include <heddle/task/this_task.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <thread>

using namespace std::chrono_literals;

// [counter]
class bounded_counter {
 public:
  explicit bounded_counter(int most) : most_{most} {}

  void add(int n) {
    room_.wait([=, this] { return fits(n); });
  }
  bool add_until(int n, heddle::deadline until) {
    return room_.wait_until([=, this] { return fits(n); }, until).has_value();
  }
  auto async_add(int n) {
    return room_.async_wait([=, this] { return fits(n); });
  }
  void remove(int n) {
    room_.wake_all([=, this] { count_ -= n; });  // all look again: one may want less than the one before it
  }
  int highest() {
    int seen = 0;
    room_.try_wait([&] { return (seen = highest_) != 0; });
    return seen;
  }

 private:
  bool fits(int n) {  // under room_'s lock
    if (count_ + n > most_) return false;
    count_ += n;
    highest_ = std::max(highest_, count_);
    return true;
  }

  const int most_;
  int count_ = 0;    // read and changed under room_'s lock only
  int highest_ = 0;  // likewise
  heddle::wait_queue room_{"room in the counter"};
};
// [/counter]

heddle::task<void> visit(bounded_counter& counter, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    co_await counter.async_add(2);
    co_await heddle::this_task::yield();
    counter.remove(2);
  }
}

int main() {
  bounded_counter counter{3};
  {
    const std::jthread thread{[&] {
      for (int i = 0; i < 1'000; ++i) {
        counter.add(1 + i % 3);
        counter.remove(1 + i % 3);
      }
    }};
    heddle::sync_wait(visit(counter, 1'000));
  }
  counter.add(3);
  const bool fourth = counter.add_until(1, heddle::deadline::after(1ms));
  fmt::print("own primitive: a thread and a task counted to {} of 3 at most; a fourth gave up at its deadline\n",
             counter.highest());
  return counter.highest() == 3 && !fourth ? 0 : 1;
}
